"""How far long work is: one callback, which the library calls and the terminal, a log or a page shows."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

Progress = Callable[[str, float, float], None]
"""Is told what is being done, how much of it is done, and how much there is.

Both numbers are of one kind: texts, draws, seconds. Whole numbers count things. Work begins with a call in which
nothing is done; the time left is reckoned from there.
"""

FIRST_LINE_SECONDS, REFRESH_SECONDS = 1.0, 0.5


def SILENT(what: str, done: int | float, total: int | float, /) -> None:
    """Show nothing."""


def counted(what: str, done: int | float, total: int | float) -> str:
    """Return what is being done, with the count where things are counted."""
    return f"{what} {done:,} of {total:,}" if isinstance(done, int) and isinstance(total, int) and total > 1 else what


def part_of(progress: Progress | None, number: int, total: int, name: str = "") -> Progress:
    """Return the progress of one of several equal parts of work.

    Args:
        progress: Of the whole. None: nobody is told.
        number: Which part, from 0.
        total: How many parts there are.
        name: Of the part.
    """
    if progress is None:
        return SILENT

    def told(what: str, done: int | float, of_part: int | float, /) -> None:
        text = ", ".join(word for word in (name, counted(what, done, of_part)) if word)
        progress(text, number + done / max(of_part, 1e-9), float(total))

    return told


@dataclass(frozen=True)
class Stage:
    """A stage of work that is planned.

    Args:
        kind: Stages of one kind take times in the ratio of their guesses.
        seconds: A guess of how long it takes.
    """

    kind: str
    seconds: float


class Stages:
    """Stages of unequal cost, told to one progress in seconds: those spent, and those spent and expected together.

    What the stages of a kind took corrects the guesses of those to come: after the first contrast, the time that all
    other contrasts take is known.

    Args:
        progress: Is told. None: nobody is.
        plan: The stages, in the order in which they are done.
    """

    _TRUST = 0.02  # a guess weighs as much as this part of its kind, once it is measured

    def __init__(self, progress: Progress | None, plan: Sequence[Stage]) -> None:
        self._progress = progress or SILENT
        self._left = list(plan)
        self._running: Stage | None = None
        self._guessed: dict[str, float] = defaultdict(float)  # of stages that have ended, like what they took
        self._took: dict[str, float] = defaultdict(float)
        self._began = self._stage_began = 0.0

    def begin(self, kind: str, what: str) -> Progress:
        """End the stage before, begin the next one of a kind, and return its progress.

        Args:
            kind: Of the stage. What is planned before it has turned out not to be needed.
            what: Is being done.
        """
        now, first = self._close(), self._running is None
        self._began = now if first else self._began
        while self._left and self._left[0].kind != kind:
            self._left.pop(0)
        self._running = self._left.pop(0) if self._left else Stage(kind, 0.0)
        self._tell(what, 0.0, now)

        def told(within: str, done: int | float, total: int | float, /) -> None:
            self._tell(f"{what}, {counted(within, done, total)}", done / max(total, 1e-9), time.monotonic())

        return told

    def end(self, what: str) -> None:
        """End the last stage: everything is done.

        Args:
            what: Was done.
        """
        spent = self._close() - self._began
        self._progress(what, spent, spent)

    def _close(self) -> float:
        """Count the stage that was running, and return the time."""
        now = time.monotonic()
        if self._running is not None:
            self._guessed[self._running.kind] += self._running.seconds
            self._took[self._running.kind] += now - self._stage_began
        self._stage_began = now
        return now

    def _tell(self, what: str, done: float, now: float) -> None:
        assert self._running is not None, "a stage runs"
        left: dict[str, float] = defaultdict(float)
        for stage in self._left:
            left[stage.kind] += stage.seconds
        guessed, took = self._guessed.copy(), self._took.copy()
        left[self._running.kind] += (1 - done) * self._running.seconds
        guessed[self._running.kind] += done * self._running.seconds
        took[self._running.kind] += now - self._stage_began
        expected = 0.0
        for kind, seconds in left.items():
            trust = self._TRUST * (guessed[kind] + seconds)
            expected += seconds * (took[kind] + trust) / (guessed[kind] + trust) if trust else 0.0
        spent = now - self._began
        self._progress(what, spent, spent + expected)


@contextmanager
def shown() -> Generator[Progress, None, None]:
    """Give a progress that stderr shows: on a terminal one line, which is rewritten; elsewhere a line now and then."""
    display = _Terminal() if sys.stderr.isatty() else _Log()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(REFRESH_SECONDS):
            display.refresh()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield display
    finally:
        stop.set()
        thread.join()
        display.close()


class _Display:
    """What was told last, and the line that says it."""

    def __init__(self) -> None:
        self._began = self._work_began = time.monotonic()
        self._what, self._part, self._left = "", 0.0, 0.0

    def __call__(self, what: str, done: int | float, total: int | float, /) -> None:
        now = time.monotonic()
        if not done:
            self._work_began = now
        self._what, self._part = counted(what, done, total), done / max(total, 1e-9)
        self._left = (now - self._work_began) * (total - done) / done if done else 0.0

    def line(self) -> str:
        """Return how much is done, the time since the beginning, the time left, and what is being done."""
        numbers = [duration(time.monotonic() - self._began)]
        if self._part:
            numbers.insert(0, f"{self._part:.0%}")
            numbers.append(f"about {duration(self._left)} left")
        return f"[{', '.join(numbers)}] {self._what}"


class _Terminal(_Display):
    """Rewrites one line, and leaves none."""

    def __call__(self, what: str, done: int | float, total: int | float, /) -> None:
        first = not self._what
        super().__call__(what, done, total)
        if first:
            self.refresh()

    def refresh(self) -> None:
        if self._what:
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{self.line()[: width - 1]}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._what:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Log(_Display):
    """Writes a line after the first second, then every ten, and more seldom the longer it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._written: float | None = None

    def refresh(self) -> None:
        now = time.monotonic()
        spent = now - self._began
        if self._written is None:
            due = spent >= FIRST_LINE_SECONDS - REFRESH_SECONDS
        else:
            due = now - self._written >= min(max(10.0, spent / 20), 300.0)
        if due:
            self._write(now)

    def close(self) -> None:
        if self._written is not None and self._part >= 1:
            self._write(time.monotonic())

    def _write(self, now: float) -> None:
        if self._what:
            self._written = now
            print(self.line(), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a time in words: seconds, minutes, hours and minutes."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
