"""A cache on disk for arrays that take long to compute."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from toposheet.files import home_folder, path_of, write_file

LIMIT = 4_000_000_000  # bytes


def cache_folder() -> Path | None:
    """Return the cache folder: `$TOPOSHEET_CACHE`, else `$XDG_CACHE_HOME/toposheet`, else `~/.cache/toposheet`.

    None, with a warning, if none of these is set and the user has no home folder.
    """
    if given := os.environ.get("TOPOSHEET_CACHE"):
        return path_of(given)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return path_of(caches) / "toposheet"
    if (home := home_folder()) is None:
        _warn_not_stored("this user has no home folder")
        return None
    return home / ".cache" / "toposheet"


@cache
def _warn_not_stored(reason: str) -> None:
    """Warn once that responses are not stored, so that they must be computed again each time."""
    message = "responses are not stored: %s; set TOPOSHEET_CACHE to a folder that can be written to"
    logging.getLogger(__name__).warning(message, reason)


def recall(
    folder: Path, kind: str, asked: object, shape: tuple[int, ...], compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """Return an array from a cache folder, or compute it and store it there.

    A stored file that cannot be read, or has another shape, is computed and written again. If the folder cannot be
    written, the array is only computed, with a warning. When the files take more than 4 GB, the least recently used
    ones are removed.

    Args:
        folder: The cache folder.
        kind: What is stored, such as `responses`. The name of the file begins with it.
        asked: All that the array depends on, as values that JSON can hold. A file is used only for equal values.
        shape: The shape that the array must have.
        compute: A function that computes the array.
    """
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    path = folder / f"{kind}-{key}.npy"
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, content.getbuffer())
        by_use = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file, total in zip(by_use, accumulate(file.stat().st_size for file in by_use), strict=True):
            if total > LIMIT and file != path:
                file.unlink(missing_ok=True)  # another process may have been quicker
    except OSError as error:
        _warn_not_stored(f"{folder} cannot be written to ({error.strerror or error})")
    return array
