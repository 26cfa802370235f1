"""A progress bar that shows how many tokens the shards hold. Other processes may write the shards."""

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
    """Show a progress bar with the number of tokens in the shards of a folder, while the block runs.

    Args:
        out: The folder. Unfinished shards are in subfolders of it.
        dtype: The integer type of a stored token.
    """
    stop = threading.Event()
    # Seconds; in a log file, short runs print no lines and long runs print few.
    every, delay = (0.5, 1.0) if sys.stderr.isatty() else (30.0, 30.0)
    before = n_tokens(out, dtype)
    with tqdm(desc="text", initial=before, unit=" tokens", unit_scale=True, leave=False, delay=delay) as bar:

        def watch() -> None:
            while not stop.wait(every):
                # The number can fall, because the files of a killed process are removed.
                bar.update(max(n_tokens(out, dtype) - bar.n, 0))

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def n_tokens(out: Path, dtype: str) -> int:
    """Return the number of tokens in the shards of a folder. Unfinished shards are included."""
    size = 0
    for path in [*out.glob("*.bin"), *out.glob(".writing-*/*.bin")]:
        with suppress(FileNotFoundError):  # the file was moved to its final place at this moment
            size += path.stat().st_size
    return size // np.dtype(dtype).itemsize
