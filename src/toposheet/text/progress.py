"""A bar that watches shards grow, whoever writes them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm


@contextmanager
def progress(out: Path, dtype: str) -> Generator[None, None, None]:
    """Show how many tokens the shards of a folder hold, while the block runs.

    Args:
        out: The folder; shards that are being written lie in folders below it.
        dtype: Of a token.
    """
    stop = threading.Event()
    every, delay = (0.5, 1.0) if sys.stderr.isatty() else (30.0, 30.0)  # a log needs few lines, a short run none
    before = n_tokens(out, dtype)
    with tqdm(desc="text", initial=before, unit=" tokens", unit_scale=True, leave=False, delay=delay) as bar:

        def watch() -> None:
            while not stop.wait(every):
                bar.update(max(n_tokens(out, dtype) - bar.n, 0))  # what a killed process left is removed

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def n_tokens(out: Path, dtype: str) -> int:
    """Return how many tokens the shards of a folder hold, those that are being written included."""
    size = 0
    for path in [*out.glob("*.bin"), *out.glob(".writing-*/*.bin")]:
        with suppress(FileNotFoundError):  # moved to its place just now
            size += path.stat().st_size
    return size // np.dtype(dtype).itemsize
