"""The files of a folder of text: which are read, and which are left out, and why."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from toposheet.errors import UserError

HIDDEN = "hidden"
OTHER_KIND = "of no kind that is read"
EMPTY = "empty"
BROKEN_LINK = "a link to nothing"
NO_FILE = "neither a file nor a folder"


def text_files(folder: Path, endings: tuple[str, ...], skipped: Path, left_out: dict[str, str]) -> list[Path]:
    """Return the files of text in a folder and the folders in it, by name; links are followed, and each file is once.

    Args:
        folder: An absolute path.
        endings: How the names of files of text end, in small letters; names may have capitals.
        skipped: A file that is no text and needs no mention.
        left_out: Gets the path of everything that is not read, with the reason.

    Raises:
        UserError: a file or folder may not be read by this user.
    """
    paths: list[Path] = []
    seen: dict[str, Path] = {}
    for path in _walk(folder, {}, left_out):
        if path == skipped:
            continue
        if reason := _fault(path, endings):
            left_out[str(path)] = reason
        elif first := seen.get(real := os.path.realpath(path)):
            left_out[str(path)] = f"the same file as {first}"
        else:
            seen[real] = path
            paths.append(path)
    copies = _copies(paths)
    left_out |= {str(path): f"a copy of {first}" for path, first in copies.items()}
    return [path for path in paths if path not in copies]


def check_readable(path: Path) -> None:
    """Refuse a file or folder that this user may not read.

    Raises:
        UserError: the message names it.
    """
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise UserError(f"{path} cannot be read: this user has no permission. Change that, or move it elsewhere")


def in_words(left_out: Mapping[str, str], folder: Path) -> str:
    """Return what is left out, in a line: each reason with a few names.

    Args:
        left_out: From `text_files`.
        folder: What the names are relative to, where they lie in it.
    """
    reasons: dict[str, list[str]] = {}
    for path, reason in left_out.items():
        name = str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else path
        reasons.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names[:3])}{_more(len(names) - 3)} ({reason})" for reason, names in reasons.items()]
    return "; ".join(parts[:8]) + _more(len(parts) - 8)


def _walk(folder: Path, entered: dict[str, Path], left_out: dict[str, str]) -> Iterator[Path]:
    """Yield all that is not hidden and no folder, in a folder and those in it; each folder is entered once."""
    check_readable(folder)
    entered[os.path.realpath(folder)] = folder
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            left_out[str(path)] = HIDDEN
        elif not path.is_dir():
            yield path
        elif first := entered.get(os.path.realpath(path)):
            left_out[str(path)] = f"the same folder as {first}"
        else:
            yield from _walk(path, entered, left_out)


def _fault(path: Path, endings: tuple[str, ...]) -> str:
    """Return why a path is not read; nothing where it is."""
    if path.is_symlink() and not path.exists():
        return BROKEN_LINK
    if not path.is_file():
        return NO_FILE
    if not path.name.lower().endswith(endings):
        return OTHER_KIND
    check_readable(path)
    return "" if path.stat().st_size else EMPTY


def _copies(paths: list[Path]) -> dict[Path, Path]:
    """Return the files that hold the same bytes as an earlier one, with that one."""
    of_size: dict[int, list[Path]] = {}
    for path in paths:
        of_size.setdefault(path.stat().st_size, []).append(path)
    copies: dict[Path, Path] = {}
    for alike in of_size.values():
        first: dict[str, Path] = {}
        for path in alike if len(alike) > 1 else ():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest in first:
                copies[path] = first[digest]
            else:
                first[digest] = path
    return copies


def _more(n: int) -> str:
    return f" and {n} more" if n > 0 else ""
