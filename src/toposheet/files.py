"""Paths as the user means them, names for files, and files that are written whole or not at all."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from toposheet.errors import UserError


def home_folder() -> Path | None:
    """Return the home folder of this user; None without `HOME` for a user id that the system does not know."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def path_of(given: str | Path) -> Path:
    """Return a path as a user means it: `~` is the home folder, as in a shell.

    Raises:
        UserError: The path is empty, or there is no such home folder.
    """
    if not str(given).strip():
        raise UserError("a path is empty: give a file or folder")
    try:
        return Path(given).expanduser()
    except RuntimeError:  # a user unknown to the system, without HOME
        raise UserError(f"{given} cannot be found: there is no such home folder. Give the whole path") from None


def write_file(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file aside, sync it and move it into place: if anything stops that, the file is as it was before."""
    aside = path.with_name(f".writing-{path.name}")
    try:
        with aside.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_aside(folder: Path, prefix: str = ".writing-", last: str = "") -> Generator[Path, None, None]:
    """Give a folder to write files to, which are moved into `folder` when the block ends without an error.

    Args:
        folder: Where the files belong; made where it is missing.
        prefix: Of the name of the folder that they are written to.
        last: The file that is moved last, so that all others are there when it is.

    Raises:
        UserError: there can be no such folder: a file has its name, or this user may not make it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"{folder} cannot be a folder to write to: {error.strerror}") from None
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=prefix))
    try:
        yield aside
        for path in sorted(aside.iterdir(), key=lambda path: (path.name == last, path.name)):
            if path.is_file():
                _sync(path)
            path.replace(folder / path.name)
        _sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def free_file_name(name: str, taken: set[str]) -> str:
    """Return the name of a file, without its ending, that says a name and differs from all others on any file system.

    Letters, digits, `_` and `-` are kept, others become `-`; what comes after 100 bytes is left out. Where that makes
    two names alike, also on disks to which capitals are small letters, the second ends in `-2`, and so on.

    Args:
        name: What the file is called after: a contrast, a model, a sheet.
        taken: The names that others have, as this function left them here; the new one is added.
    """
    plain = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).encode()[:_LONGEST].decode(errors="ignore")
    plain = plain.strip("-") or "unnamed"
    numbered = (plain if n == 1 else f"{plain}-{n}" for n in itertools.count(1))
    free = next(name for name in numbered if _as_disks_see_it(name) not in taken | _DEVICES)
    taken.add(_as_disks_see_it(free))
    return free


def _as_disks_see_it(name: str) -> str:
    """Return a name as file systems compare it that tell neither capitals nor composed letters apart."""
    return unicodedata.normalize("NFKD", name.casefold())


_LONGEST = 100  # bytes: file systems take 255, with ending and what marks a file that is being written
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # of Windows


def _sync(path: Path) -> None:
    """Wait until a file, or which files a folder has, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
