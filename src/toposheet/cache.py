"""A cache on disk for arrays that take long to compute."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import numpy as np

from toposheet.files import write_file

LIMIT = 4_000_000_000  # bytes


def cache_folder() -> Path:
    """Return the cache folder: `$TOPOSHEET_CACHE`, else `$XDG_CACHE_HOME/toposheet`, else `~/.cache/toposheet`."""
    if given := os.environ.get("TOPOSHEET_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toposheet"


def recall(folder: Path, name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array from a cache folder, or compute it and store it there.

    A stored file that cannot be read, or has another shape, is computed and written again. If the folder cannot be
    written, the array is only computed. When the files take more than 4 GB, the least recently used ones are removed.

    Args:
        folder: The cache folder.
        name: The name of the file, with the ending `.npy`.
        shape: The shape that the array must have.
        compute: A function that computes the array.
    """
    path = folder / name
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
        if isinstance(array, np.ndarray) and array.shape == shape:
            path.touch()
            return array
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        pass
    array = compute()
    content = io.BytesIO()
    np.save(content, array)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, content.getbuffer())
        by_use = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file, total in zip(by_use, accumulate(file.stat().st_size for file in by_use), strict=True):
            if total > LIMIT and file != path:
                file.unlink()
    return array
