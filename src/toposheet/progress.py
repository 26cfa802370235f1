"""The progress of long work. The library calls one function, and a terminal, a log or a page shows the calls."""

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
"""A function that long work calls with three arguments: (what, done, total).

`what` says in words what is being done, for example `reading texts`. `done` is the amount of work that is finished, and
`total` is the whole amount. Both are in the same unit, for example texts, draws or seconds. Integers are numbers of
things, and are shown. The first call has `done` = 0; the time left is estimated from the time since this call.
"""

FIRST_LINE_SECONDS, REFRESH_SECONDS = 1.0, 0.5


def SILENT(what: str, done: int | float, total: int | float, /) -> None:
    """Do nothing. It is used if no progress is wanted."""


def counted(what: str, done: int | float, total: int | float) -> str:
    """Return the words with the two numbers, if the numbers count things: `reading texts 3 of 20`."""
    return f"{what} {done:,} of {total:,}" if isinstance(done, int) and isinstance(total, int) and total > 1 else what


def part_of(progress: Progress | None, number: int, total: int, name: str = "") -> Progress:
    """Return a function for the progress of one part of some work. All parts count as equal.

    Args:
        progress: The function for the progress of the whole work. None: no calls.
        number: Index of the part, starting at 0.
        total: Number of parts.
        name: Name of the part, with which its words begin.
    """
    if progress is None:
        return SILENT

    def report(what: str, done: int | float, part_total: int | float, /) -> None:
        progress(_joined(name, counted(what, done, part_total)), number + done / max(part_total, 1e-9), float(total))

    return report


def _joined(*words: str) -> str:
    return ", ".join(word for word in words if word)


@dataclass(frozen=True)
class Stage:
    """A planned stage of some work.

    Args:
        kind: Name of the kind of stage. If one stage takes twice the time that was guessed, all stages of this kind are
            expected to take twice their guessed time.
        seconds: The guessed time of the stage, in seconds.
    """

    kind: str
    seconds: float


class Stages:
    """The progress of work with stages of unequal length, in seconds: the time so far, and the expected total time.

    The measured times of finished stages correct the guessed times of later stages of the same kind. For example, the
    time of the first contrast shows how long all other contrasts will take. The finished part (time so far / expected
    time) never falls: if the work turns out to be longer than expected, the finished part stays for a while.

    A stage can have stages of its own: give the function for its progress to another `Stages`.

    Args:
        progress: The function that is called. None: no calls.
        plan: The planned stages, in order.
    """

    _TRUST = 0.02  # weight of the first guess: it counts like a measurement of 2 % of the work

    def __init__(self, progress: Progress | None, plan: Sequence[Stage]) -> None:
        self._progress = progress or SILENT
        self._left = list(plan)
        self._running: Stage | None = None
        self._guessed_seconds: dict[str, float] = defaultdict(float)  # seconds of the finished stages of each kind
        self._measured_seconds: dict[str, float] = defaultdict(float)
        self._began = self._stage_began = 0.0
        self._finished_part = 0.0

    def begin(self, kind: str, what: str = "") -> Progress:
        """End the present stage, begin the next planned stage of a kind, and return the function for its progress.

        Args:
            kind: The kind of the stage. Stages of other kinds that were planned before it are dropped.
            what: Words for the work of the stage. Empty: nothing is reported before the stage reports its progress.
        """
        now, first = self._close(), self._running is None
        self._began = now if first else self._began
        while self._left and self._left[0].kind != kind:
            self._left.pop(0)
        self._running = self._left.pop(0) if self._left else Stage(kind, 0.0)
        if what:
            self._report(what, 0.0, now)

        def report(within: str, done: int | float, total: int | float, /) -> None:
            text = _joined(what, counted(within, done, total))
            self._report(text, done / max(total, 1e-9), time.monotonic())

        return report

    def end(self, what: str) -> None:
        """End the last stage. All work is done.

        Args:
            what: Words for the finished work.
        """
        spent = self._close() - self._began
        self._progress(what, spent, spent)

    def _close(self) -> float:
        """Add the time of the present stage to the measured times, and return the time on the clock."""
        now = time.monotonic()
        if self._running is not None:
            self._guessed_seconds[self._running.kind] += self._running.seconds
            self._measured_seconds[self._running.kind] += now - self._stage_began
        self._stage_began = now
        return now

    def _report(self, what: str, done: float, now: float) -> None:
        assert self._running is not None, "a stage runs"
        left: dict[str, float] = defaultdict(float)
        for stage in self._left:
            left[stage.kind] += stage.seconds
        guessed, took = self._guessed_seconds.copy(), self._measured_seconds.copy()
        left[self._running.kind] += (1 - done) * self._running.seconds
        guessed[self._running.kind] += done * self._running.seconds
        took[self._running.kind] += now - self._stage_began
        expected = 0.0
        for kind, seconds in left.items():
            trust = self._TRUST * (guessed[kind] + seconds)
            expected += seconds * (took[kind] + trust) / (guessed[kind] + trust) if trust else 0.0
        spent = now - self._began
        if spent:
            self._finished_part = max(self._finished_part, spent / (spent + expected))
            expected = spent / self._finished_part - spent
        self._progress(what, spent, spent + expected)


@contextmanager
def shown() -> Generator[Progress, None, None]:
    """Give a progress that is shown on stderr.

    A terminal shows one line, which is rewritten. A file or a log gets a new line from time to time.
    """
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
    """The last call of a progress, and the line that shows it."""

    def __init__(self) -> None:
        self._began = self._work_began = self._called = time.monotonic()
        self._what, self._part, self._left = "", 0.0, 0.0

    def __call__(self, what: str, done: int | float, total: int | float, /) -> None:
        now = self._called = time.monotonic()
        if not done:
            self._work_began = now
        self._what, self._part = counted(what, done, total), done / max(total, 1e-9)
        self._left = (now - self._work_began) * (total - done) / done if done else 0.0

    def line(self) -> str:
        """Return the line: the finished part in percent, the time so far, the time left, and the words.

        The time left is estimated at each call. Between two calls it gets smaller, down to 0. Less than 1 % of the work
        tells nothing about the time left.
        """
        now = time.monotonic()
        numbers = [duration(now - self._began)]
        if self._part >= 0.01:
            numbers.insert(0, f"{self._part:.0%}")
            numbers.append(f"about {duration(max(0.0, self._left - (now - self._called)))} left")
        return f"[{', '.join(numbers)}] {self._what}"


class _Terminal(_Display):
    """Rewrites one line of a terminal, and erases it at the end."""

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
    """Writes a line after one second, and then every ten seconds.

    After 200 seconds the gap between two lines grows: it is a twentieth of the time so far, but at most 5 minutes.
    """

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
    """Return a time in words: `42 s`, `5 min` or `2 h 10 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
