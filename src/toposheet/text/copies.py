"""Files that hold the same text as an earlier file: other paths of the same file, copies, and compressed copies."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from toposheet.errors import UserError
from toposheet.packages import check_package


def repeated(paths: Sequence[str]) -> dict[str, str]:
    """Return the reason for each path whose file holds the same text as the file of an earlier path.

    Texts are equal if they differ only in their line ends, in newlines at the end, or in a byte-order mark. Compressed
    files are decompressed for this only if two names differ in the compression alone (`a.txt`, `a.txt.gz`).

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
    """Return a hash of the text of each file that may have the text of another file.

    These are the files whose names differ in the compression alone, and the uncompressed files of text that begin with
    the same characters. A file that is damaged has no hash here: the error comes when the file is read.
    """
    from toposheet.text.formats._opening import COMPRESSIONS, open_file

    packed = tuple(COMPRESSIONS)
    alike: dict[tuple[str, bytes], list[str]] = {}
    for path in paths:
        name = Path(path.lower())
        alike.setdefault((name.stem if name.suffix in packed else name.name, b""), []).append(path)
        if name.suffix in _LINES:
            alike.setdefault(("", _beginning(path)), []).append(path)
    groups = [group for (name, _), group in alike.items() if not name or any(p.lower().endswith(packed) for p in group)]
    hashes: dict[str, str] = {}
    for path in dict.fromkeys(path for group in groups if len(group) > 1 for path in group):
        if path.lower().endswith(packed):
            check_package("pyarrow", "preparing text needs", "toposheet[data]")
        try:
            hashes[path] = _hash_of_text(open_file(path))
        except (OSError, UserError):
            continue
    return hashes


_LINES = (".txt", ".jsonl")  # endings of files in which the kind of line end does not matter
_BLOCK = 2**20  # bytes


def _beginning(path: str) -> bytes:
    """Return the first bytes of a file, equal for all files with the same text."""
    with Path(path).open("rb") as file:
        return b"".join(_plain_blocks(io.BytesIO(file.read(4096))))[:1024].rstrip(b"\n")


def _hash_of_text(opening: AbstractContextManager[BinaryIO]) -> str:
    """Return a hash of the text of a file. Line ends, newlines at the end and a byte-order mark do not change it."""
    digest, newlines = hashlib.sha256(), 0
    with opening as file:
        for block in _plain_blocks(file):
            text = block.rstrip(b"\n")
            if text:
                for start in range(0, newlines, _BLOCK):
                    digest.update(b"\n" * min(newlines - start, _BLOCK))
                digest.update(text)
                newlines = 0
            newlines += len(block) - len(text)
    return digest.hexdigest()


def _plain_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks, without a byte-order mark. Every line end is a newline."""
    block, carriage_return = file.read(_BLOCK).removeprefix(codecs.BOM_UTF8), b""
    while block:
        block = carriage_return + block
        carriage_return = block[-1:] if block.endswith(b"\r") else b""  # a newline may follow
        yield block.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        block = file.read(_BLOCK)
    yield carriage_return.replace(b"\r", b"\n")


def _hash(opening: AbstractContextManager[BinaryIO]) -> str:
    with opening as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore
