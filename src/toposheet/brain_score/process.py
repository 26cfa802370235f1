"""The process of a subject, as Brain-Score sees it: it is started, asked and ended here. Nothing waits for ever."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import IO, Any, NoReturn

from toposheet.brain_score.messages import Message, line_of, message_in
from toposheet.errors import NotFound, RunError, UserError

PYTHON = "TOPOSHEET_PYTHON"
"""The environment variable with the Python of the environment in which toposheet is installed."""

SILENCE_SECONDS = 300.0  # a process that gives no sign of life for so long is ended; it gives one every 5 seconds
_ENDING_SECONDS = 5.0
_TAIL = 4000  # characters of stderr that are kept for the message about a process that ended


class FaultInSubject(RuntimeError):
    """A fault in the process of a subject. The message holds its traceback."""


def find_python(given: str | os.PathLike[str] | None) -> str:
    """Return the path of the Python that runs toposheet.

    Args:
        given: The path or the name of a Python. None: that of the environment variable TOPOSHEET_PYTHON.

    Raises:
        UserError: No Python is given.
        NotFound: There is no such program.
    """
    name = os.environ.get(PYTHON) if given is None else os.fspath(given)
    if not name:
        raise UserError(
            f"it is not known where toposheet is installed: set {PYTHON} to the Python of its environment, such as "
            "/home/me/toposheet/.venv/bin/python, or give python="
        )
    if (found := shutil.which(os.path.expanduser(name))) is None:  # noqa: PTH111
        raise NotFound(f"there is no program {name}: set {PYTHON} to the Python of the environment of toposheet")
    return found


class SubjectProcess:
    """A process that holds a subject and answers questions.

    Args:
        python: The Python that runs it.
        name: What messages call the subject.

    Raises:
        UserError: The process cannot be started.
    """

    def __init__(self, python: str, name: str) -> None:
        self.name = name
        self._python = python
        # -P: a file in the working folder, such as utils.py, must not take the place of a package.
        command = [python, "-P", "-m", "toposheet.brain_score.worker"]
        try:
            # In a session of its own, so that Ctrl-C reaches only this process, which then ends the other one.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"{python} cannot be started: {error.strerror or error}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._buffer = process, bytearray()
        self._questions, self._answers = process.stdin.fileno(), process.stdout.fileno()
        self._tail: list[str] = []
        for end in (self._questions, self._answers):
            os.set_blocking(end, False)
        self._stderr = threading.Thread(target=_forward, args=(process.stderr, self._tail), daemon=True)
        self._stderr.start()
        self._end = weakref.finalize(self, _end, process)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the process can be asked: nothing has ended it."""
        return self._end.alive

    def close(self) -> None:
        """End the process."""
        self._end()

    def ask(self, question: Message) -> Message:
        """Return the answer to a question.

        If this is interrupted, or if the process ends or is silent for too long, the process is ended.

        Raises:
            UserError: The user has made a mistake. The process goes on.
            NotFound: Something is missing. The process goes on.
            RunError: The process has ended, or was silent for too long.
            FaultInSubject: There is a fault in toposheet. The process goes on.
        """
        try:
            reply = self._exchange(line_of(question))
        except BaseException:
            self.close()
            raise
        if "answer" in reply:
            return reply["answer"]
        errors = {kind.__name__: kind for kind in (UserError, NotFound, RunError)}
        if reply["error"] in errors:
            raise errors[reply["error"]](reply["message"])
        raise FaultInSubject(f"{reply['message']}\n\nin the process of {self.name}:\n{reply['traceback']}")

    def _exchange(self, line: bytes) -> Message:
        """Write a line and return the answer. Signs of life are not answers."""
        unsent, heard = memoryview(line), time.monotonic()
        while True:
            ready = select.poll()
            ready.register(self._answers, select.POLLIN)
            if unsent:
                ready.register(self._questions, select.POLLOUT)
            events = dict(ready.poll(500))
            if self._questions in events:
                try:
                    unsent = unsent[os.write(self._questions, unsent[:65536]) :]
                except BrokenPipeError:  # the process has ended, which its stdout tells below
                    unsent = unsent[:0]
            if self._answers in events:
                # What has ended may have left other programs that hold its stdout, so its end is not always told.
                if not (new := os.read(self._answers, 1 << 20)):
                    self._raise_ended()
                heard = time.monotonic()
                if (reply := self._reply(new)) is not None:
                    return reply
            elif self._process.poll() is not None:
                self._raise_ended()
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise RunError(
                    f"the process of {self.name} (id {self.pid}) gave no sign of life for {SILENCE_SECONDS:g} s and "
                    "was ended: is it stopped, or does its machine swap memory? The next question starts another one"
                )

    def _reply(self, new: bytes) -> Message | None:
        """Return the answer if it is complete with new bytes, or else None."""
        start = len(self._buffer)
        self._buffer += new
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line, self._buffer, start = self._buffer[:end], self._buffer[end + 1 :], 0
            try:
                message = message_in(line)
            except ValueError:
                raise RunError(
                    f"the process of {self.name} wrote what is no answer: {bytes(line[:80])!r}; is {self._python} the "
                    "Python of toposheet's environment?"
                ) from None
            if "alive" not in message:
                return message
        return None

    def _raise_ended(self) -> NoReturn:
        """Say how the process ended, with the last line of its stderr."""
        try:
            code = self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        self._stderr.join(1.0)
        last = "".join(self._tail).strip().splitlines()[-1:]
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
            how += " (perhaps the memory was too small)" if -code == signal.SIGKILL else ""
        else:
            how = "closed its output" if code is None else f"ended with exit code {code}"
        said = f"; its last line: {last[0].strip()}" if last else ""
        if "No module named" in said and "toposheet" in said:
            raise UserError(
                f"{self._python} has no toposheet: set {PYTHON} to the Python of the environment in which toposheet "
                "is installed, or give python="
            )
        raise RunError(f"the process of {self.name} {how}{said}. The next question starts another one")


def _forward(stream: IO[bytes], tail: list[str]) -> None:
    """Write what a process writes to its stderr to our stderr, and keep the end of it."""
    with stream:
        while data := stream.read(4096):
            text = data.decode(errors="replace")
            tail[:] = ["".join((*tail, text))[-_TAIL:]]
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(text)
                sys.stderr.flush()


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process. It ends by itself when its stdin is closed, if it is not at work."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.5)
        return
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_ENDING_SECONDS)
