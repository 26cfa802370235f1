"""Files that hold the same text as an earlier file: other paths of the same file, copies, and compressed copies."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from toposheet.errors import UserError
from toposheet.packages import check_package


def repeated(paths: Sequence[str]) -> dict[str, str]:
    """Return the reason for each path whose file holds the same text as the file of an earlier path.

    Compressed files are decompressed for this only if two names differ in the compression alone (`a.txt`, `a.txt.gz`).

    Args:
        paths: Absolute paths of files, each path once.

    Raises:
        NotFound: A compressed file must be read, but pyarrow is not installed.
    """
    reasons: dict[str, str] = {}
    for same, keys in (("the same file as", _places), ("a copy of", _contents), ("the same text as", _texts)):
        first_paths: dict[str, str] = {}
        for path, key in keys([path for path in paths if path not in reasons]).items():
            first = first_paths.setdefault(key, path)
            if first != path:
                reasons[path] = f"{same} {first}"
    return reasons


def _places(paths: Sequence[str]) -> dict[str, str]:
    """Return the path of each file without links."""
    return {path: os.path.realpath(path) for path in paths}


def _contents(paths: Sequence[str]) -> dict[str, str]:
    """Return a hash of the bytes of each file that has the size of another file."""
    sizes = {path: Path(path).stat().st_size for path in paths}
    times = Counter(sizes.values())
    return {path: _hash(Path(path).open("rb")) for path, size in sizes.items() if times[size] > 1}


def _texts(paths: Sequence[str]) -> dict[str, str]:
    """Return a hash of the decompressed bytes of each file whose name differs from another name in the compression.

    A file that is damaged has no hash here: the error comes when the file is read.
    """
    from toposheet.text.formats._opening import COMPRESSIONS, open_file

    names: dict[str, list[str]] = {}
    for path in paths:
        name = Path(path.lower())
        names.setdefault(name.stem if name.suffix in COMPRESSIONS else name.name, []).append(path)
    hashes: dict[str, str] = {}
    for alike in names.values():
        if len(alike) > 1 and any(path.lower().endswith(tuple(COMPRESSIONS)) for path in alike):
            check_package("pyarrow", "preparing text needs", "toposheet[data]")
            for path in alike:
                try:
                    hashes[path] = _hash(open_file(path))
                except (OSError, UserError):
                    continue
    return hashes


def _hash(opening: AbstractContextManager[BinaryIO]) -> str:
    with opening as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore
