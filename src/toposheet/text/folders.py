"""The text files of a folder: the files that are read, and the files that are left out, with the reasons."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from toposheet.errors import UserError

HIDDEN = "hidden"
OTHER_KIND = "not a text file"
EMPTY = "empty"
BROKEN_LINK = "a broken link"
NO_FILE = "neither a file nor a folder"


def text_files(folder: Path, endings: tuple[str, ...], skipped: Path, left_out: dict[str, str]) -> list[Path]:
    """Return the text files in a folder and its subfolders, in order of their names.

    Links are followed. Each folder is searched once, even if several links lead to it.

    Args:
        folder: An absolute path.
        endings: The endings of the names of text files, in small letters. The names may have capital letters.
        skipped: A file that is neither read nor mentioned in `left_out`.
        left_out: A dict to which this function adds the reason for each path that is not read.

    Raises:
        UserError: This user has no permission to read a file or a folder.
    """
    paths: list[Path] = []
    for path in _walk(folder, {}, left_out):
        if path == skipped:
            continue
        if reason := _fault(path, endings):
            left_out[str(path)] = reason
        else:
            paths.append(path)
    return paths


def check_readable(path: Path) -> None:
    """Refuse a file or a folder that this user has no permission to read.

    Raises:
        UserError: The message names the path.
    """
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise UserError(f"{path} cannot be read: this user has no permission. Change its permissions, or leave it out")


def in_words(left_out: Mapping[str, str], folder: Path) -> str:
    """Return one line that lists the files that are left out: a few names for each reason.

    Args:
        left_out: The reason for each path that is left out (`text_files`).
        folder: The folder. Paths inside this folder are written relative to it.
    """
    reasons: dict[str, list[str]] = {}
    for path, reason in left_out.items():
        name = str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else path
        reasons.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names[:3])}{_more(len(names) - 3)} ({reason})" for reason, names in reasons.items()]
    return "; ".join(parts[:8]) + _more(len(parts) - 8)


def _walk(folder: Path, entered: dict[str, Path], left_out: dict[str, str]) -> Iterator[Path]:
    """Yield all files in a folder and its subfolders, except hidden ones. Each folder is searched once."""
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
    """Return the reason why a path is not read. Empty: the path is read."""
    if path.is_symlink() and not path.exists():
        return BROKEN_LINK
    if not path.is_file():
        return NO_FILE
    if not path.name.lower().endswith(endings):
        return OTHER_KIND
    check_readable(path)
    return "" if path.stat().st_size else EMPTY


def _more(n: int) -> str:
    return f" and {n} more" if n > 0 else ""
