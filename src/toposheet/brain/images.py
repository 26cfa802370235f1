"""Image files of neuroimaging programs: opening a file, and choosing one of its maps."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toposheet.brain.meshes import FOR_BRAINS
from toposheet.errors import UserError, first_line
from toposheet.packages import import_package

_LISTED = 8  # most maps that an error message lists


def open_image(path: Path) -> Any:
    """Return an image file as an image object of nibabel.

    Raises:
        NotFound: nibabel is not installed.
        UserError: The file cannot be read. The message names the file.
    """
    nibabel = import_package("nibabel", *FOR_BRAINS)
    with errors_in_one_line(path):
        return nibabel.load(path)


@contextmanager
def errors_in_one_line(path: Path) -> Generator[None, None, None]:
    """Convert every error that occurs while a file is read into a `UserError` of one line.

    Args:
        path: The file, for the error message.

    Raises:
        UserError: An error occurred. The message names the file.
    """
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.ERROR)  # nibabel warns that the voxel size is missing, but no CIFTI file has one
    try:
        yield
    except Exception as error:  # the parsers raise many kinds
        what = first_line(error).split(". ")[0]
        raise UserError(
            f"{path} cannot be read ({what}): check that the file is complete, and that its ending fits its format"
        ) from None
    finally:
        logger.setLevel(level)


def choose_map(path: Path, names: Sequence[str], which: int | None) -> int:
    """Return the number of the map to read.

    Args:
        path: The file, for the error message.
        names: Names of the maps in the file.
        which: The number that the user chose. None: the file must have exactly one map.

    Raises:
        UserError: The file has no map, or not this map; or it has several maps and the user chose none.
    """
    n = len(names)
    if not n:
        raise UserError(f"{path} has no map: give a file with one number for each vertex, for example t")
    if which is None and n > 1:
        listed = [f"{number} {name!r}" for number, name in enumerate(names[:_LISTED])]
        more = ["..."] if n > _LISTED else []
        raise UserError(
            f"{path} has {n:,} maps: {', '.join([*listed, *more])}. Choose one of them with --which NUMBER (in Python: "
            "which=NUMBER)"
        )
    which = which or 0
    if not 0 <= which < n:
        raise UserError(f"{path} has no map {which}: it has {n} {'map' if n == 1 else 'maps'}, and the first is map 0")
    return which
