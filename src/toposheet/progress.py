"""How far long work is: one callback, which the library calls and the terminal, a log or a page shows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[str, float, float], None]
"""Is told what is being done, how much of it is done, and how much there is."""


def SILENT(what: str, done: int | float, total: int | float, /) -> None:
    """Show nothing."""


@contextmanager
def shown(unit: str) -> Generator[Progress, None, None]:
    """Give a progress that is shown on stderr: a bar on a terminal, a line now and then elsewhere.

    Args:
        unit: What is counted, for the bar.
    """
    if not sys.stderr.isatty():
        yield _Lines()
        return
    form = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left"
    with tqdm(total=1, unit=unit, leave=False, bar_format=form, dynamic_ncols=True) as bar:

        def update(what: str, done: int | float, total: int | float, /) -> None:
            bar.total = total
            bar.set_description_str(what, refresh=False)
            bar.update(done - bar.n)
            bar.refresh()

        yield update


class _Lines:
    """Writes a line at most every half minute, for logs."""

    def __init__(self, seconds: float = 30.0) -> None:
        self._seconds, self._started, self._last = seconds, time.monotonic(), time.monotonic()

    def __call__(self, what: str, done: int | float, total: int | float, /) -> None:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return
        self._last = now
        spent = now - self._started
        left = f", about {spent * (total - done) / done:,.0f} s left" if done > 0 else ""
        print(f"{what}: {done / total:.0%} after {spent:,.0f} s{left}", file=sys.stderr, flush=True)
