"""What takes long to compute is kept, and found again."""

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
    """Return the user's folder for it: `$TOPOSHEET_CACHE`, or `toposheet` in the usual place for caches."""
    if given := os.environ.get("TOPOSHEET_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toposheet"


def recall(folder: Path, name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array of a shape that lies in a folder under this name, or compute it and leave it there.

    A file that cannot be read is computed anew; a folder that cannot be written to costs the time and nothing else.
    Files that were not used for the longest time go when there are over 4 GB.
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
