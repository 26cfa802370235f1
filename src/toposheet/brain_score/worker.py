"""The process of a subject: it reads questions from stdin, one JSON object a line, and writes answers to stdout.

`BrainScoreSubject` starts it as `python -m toposheet.brain_score.worker`, with the Python of toposheet's environment.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING

from toposheet.brain_score.messages import PROTOCOL, Message, line_of, message_in
from toposheet.errors import NotFound, RunError, UserError, named

if TYPE_CHECKING:
    from toposheet.subject import Subject

ALIVE_SECONDS = 5.0  # a sign of life is sent as often as this


class Worker:
    """The answers of a process that holds one subject. The first question opens the subject."""

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._bos: str | None = None
        self._regions: dict[str, list[int]] = {}

    def answer(self, question: Message) -> Message:
        """Return the answer to a question.

        Args:
            question: `open`: the arguments of the subject and the places of its regions. Or `digest`: the text so far,
                up to the end of each part; the names of regions to record from; and the behaviour, or None.

        Raises:
            UserError: The subject cannot be opened, or it cannot read the text.
        """
        if question.get("ask") == "open":
            return self._open(question)
        assert question.get("ask") == "digest", "Brain-Score asks only to open a subject and to read a text"
        return self._digest(question)

    def _open(self, question: Message) -> Message:
        if question["protocol"] != PROTOCOL:
            raise UserError(
                "the two environments have different versions of toposheet: install the same version in both"
            )
        try:
            from toposheet.brain_score.answers import parts_of
            from toposheet.brain_score.opening import neuroids, opened, units_in
        except ImportError as error:
            raise UserError(
                f"{sys.executable} cannot run toposheet ({named(error)}): give the Python of the environment in which "
                "toposheet is installed with all its packages"
            ) from None
        subject = opened(question["model"], question["bos"], question["options"])
        subject.check_tokenizer()
        parts_of(subject, ["a"], question["bos"])
        self._subject, self._bos = subject, question["bos"]
        self._regions = {name: units_in(subject, name, at).tolist() for name, at in question["regions"].items()}
        return {
            "name": subject.name, "fingerprint": subject.fingerprint, "neuroids": neuroids(subject),
            "regions": self._regions,
        }  # fmt: skip

    def _digest(self, question: Message) -> Message:
        from toposheet.brain_score.answers import next_words, parts_of, responses, surprisals
        from toposheet.progress import SILENT, shown

        assert self._subject is not None, "a subject is opened before it reads a text"
        behaviors = {"reading_times": surprisals, "next_word": next_words}
        parts = parts_of(self._subject, question["contexts"], self._bos)
        answer: Message = {"n_truncated": sum(part.n_left_out > 0 for part in parts)}
        with shown() as on_stderr:
            progress = on_stderr if len(parts) > 100 else SILENT
            if question["behavior"] is not None:
                answer["behavior"] = behaviors[question["behavior"]](self._subject, parts, progress)
            if question["regions"]:
                units = [unit for name in question["regions"] for unit in self._regions[name]]
                answer["neural"] = responses(self._subject, parts, progress)[:, units]
        return answer


def main() -> None:
    """Answer questions until stdin ends."""
    if sys.stdin.isatty():
        print("toposheet: toposheet.brain_score.subject.BrainScoreSubject starts this program", file=sys.stderr)
        sys.exit(2)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    questions = sys.stdin.buffer
    # What other code prints must not mix with the answers, so their stdout is stderr from here on.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        lock = threading.Lock()
        threading.Thread(target=_signs_of_life, args=(answers, lock), daemon=True).start()
        worker = Worker()
        for line in questions:
            _send(_answered(worker, line), answers, lock)


def _answered(worker: Worker, line: bytes) -> Message:
    """Return the answer to a line, or the error that it caused."""
    try:
        return {"answer": worker.answer(message_in(line))}
    except (UserError, RunError) as error:
        kind = next(kind for kind in (NotFound, UserError, RunError) if isinstance(error, kind))
        return {"error": kind.__name__, "message": " ".join(str(error).split())}
    except Exception as error:
        return {"error": "fault", "message": named(error), "traceback": traceback.format_exc()}


def _send(message: Message, answers: IO[bytes], lock: threading.Lock) -> None:
    """Write a message. If nobody reads it any more, this process ends."""
    try:
        with lock:
            answers.write(line_of(message))
            answers.flush()
    except OSError:
        os._exit(1)


def _signs_of_life(answers: IO[bytes], lock: threading.Lock) -> None:
    pause = threading.Event()
    while not pause.wait(ALIVE_SECONDS):
        _send({"alive": True}, answers, lock)


if __name__ == "__main__":
    main()
