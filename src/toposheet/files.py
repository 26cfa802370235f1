"""Paths with `~`, safe names for files, and writing of files that never leaves a half-written file."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from toposheet.errors import UserError, check_type


def home_folder() -> Path | None:
    """Return the home folder of this user, or None if the system does not know it and `HOME` is not set."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def path_of(given: str | Path, name: str = "a path") -> Path:
    """Return a path in which `~` is replaced by the home folder, as in a shell.

    Args:
        given: The path.
        name: Name of the argument in messages.

    Raises:
        UserError: It is no path, it is empty, or the home folder is not known.
    """
    check_type(name, given, (str, os.PathLike), "the name of a file or folder")
    if not str(given).strip():
        raise UserError(f"{name} is empty: give a file or folder")
    try:
        return Path(given).expanduser()
    except RuntimeError:  # the system does not know the user, and HOME is not set
        raise UserError(f"{given} cannot be found, because this home folder is not known: give the full path") from None


def write_file(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file. If the writing fails or is interrupted, the old file stays unchanged.

    The content is written to a temporary file beside it, synced to disk, and then moved to its place.
    """
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
def folder_aside(
    folder: Path, prefix: str = ".writing-", last: str = "", replaces: Iterable[str] = ()
) -> Generator[Path, None, None]:
    """Yield a temporary folder. When the block ends without an error, the files in it are moved into `folder`.

    If the block ends with an error or is interrupted, `folder` stays as it was, or is not made.

    Args:
        folder: The final folder of the files. It is made if it does not exist.
        prefix: The start of the name of the temporary folder.
        last: Name of the file that is moved last. When this file is in `folder`, all other files are there too.
        replaces: Paths in `folder` of earlier files, which would not match the new files. They are removed.

    Raises:
        UserError: A folder cannot be made: a file has its name, or this user has no permission.
    """
    existed = folder.exists()
    _make(folder)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=prefix))
    try:
        yield aside
        paths = [path for path in sorted(aside.rglob("*")) if path.is_file()]
        targets = {path: folder / path.relative_to(aside) for path in paths}
        for path, target in targets.items():
            _sync(path)
            _make(target.parent)
        kept = set(targets.values()) - {folder / last}
        for earlier in [folder / name for name in (last, *replaces) if name]:
            if earlier not in kept:
                earlier.unlink(missing_ok=True)
        for path, target in sorted(targets.items(), key=lambda item: item[1] == folder / last):
            path.replace(target)
        for changed in {folder, *(target.parent for target in targets.values())}:
            _sync(changed)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if not existed:
            with suppress(OSError):
                folder.rmdir()  # this removes an empty folder only


def _make(folder: Path) -> None:
    """Make a folder, if it does not exist.

    Raises:
        UserError: A file has its name, or this user has no permission.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"cannot make the folder {folder} ({error.strerror}): choose another folder") from None


def refuse_other_files(folder: Path, others: Collection[str]) -> None:
    """Refuse a folder for output because of files in it that do not belong to the output.

    Args:
        folder: The folder.
        others: Names of such files. Empty: the folder is accepted.

    Raises:
        UserError: There are such files. The message names the first of them.
    """
    if others:
        raise UserError(f"{folder} holds other files, such as {min(others)}: choose an empty or a new folder")


def free_file_name(name: str, taken: set[str]) -> str:
    """Return a file name without ending for a contrast, model or sheet. It differs from all names in `taken`.

    Letters, digits, `_` and `-` are kept. Other characters become `-`. The name is cut after 100 bytes. If another file
    already has the name, `-2`, `-3` and so on is added. Names that differ only in capital letters count as equal,
    because some file systems treat them as equal.

    Args:
        name: The name of the contrast, model or sheet.
        taken: The names that are already used. This function adds the new name.
    """
    plain = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).encode()[:_LONGEST].decode(errors="ignore")
    plain = plain.strip("-") or "unnamed"
    numbered = (plain if n == 1 else f"{plain}-{n}" for n in itertools.count(1))
    free = next(name for name in numbered if _as_disks_see_it(name) not in taken | _DEVICES)
    taken.add(_as_disks_see_it(free))
    return free


def _as_disks_see_it(name: str) -> str:
    """Return a name in small letters and in one Unicode form (NFKD), as some file systems compare names."""
    return unicodedata.normalize("NFKD", name.casefold())


_LONGEST = 100  # bytes; file systems allow 255, including the ending and the prefix of temporary files
# Reserved names on Windows.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def _sync(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
