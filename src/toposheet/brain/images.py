"""Image files of neuroimaging programs: opened, and one of the maps in them chosen."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toposheet.brain.meshes import FOR_BRAINS
from toposheet.errors import UserError, first_line
from toposheet.packages import import_package

_LISTED = 8  # maps that a message names


def open_image(path: Path) -> Any:
    """Return an image of nibabel.

    Raises:
        NotFound: nibabel is not installed.
        UserError: the file cannot be read; the message names it.
    """
    nibabel = import_package("nibabel", *FOR_BRAINS)
    with reading(path):
        return nibabel.load(path)


@contextmanager
def reading(path: Path) -> Generator[None, None, None]:
    """Turn whatever a parser of files raises into one line.

    Raises:
        UserError: the message names the file.
    """
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of the voxel size, which no CIFTI file has
    try:
        yield
    except Exception as error:  # of whatever kind the parsers raise
        what = first_line(error).split(". ")[0]
        raise UserError(f"{path} cannot be read ({what}): is it whole, and what its name says?") from None
    finally:
        logger.setLevel(level)


def choose_map(path: Path, names: Sequence[str], which: int | None) -> int:
    """Return the number of the map that is read.

    Args:
        path: The file, for the message.
        names: What its maps are called.
        which: The number that is asked for. None: the file must have one map.

    Raises:
        UserError: the file has no such map, or several and none is asked for.
    """
    n = len(names)
    if which is None and n > 1:
        listed = [f"{number} {name!r}" for number, name in enumerate(names[:_LISTED])]
        more = ["..."] if n > _LISTED else []
        raise UserError(
            f"{path} has {n:,} maps: {', '.join([*listed, *more])}. Say which one: --which NUMBER (in Python "
            "which=NUMBER)"
        )
    which = which or 0
    if not 0 <= which < n:
        raise UserError(f"{path} has {n} {'map' if n == 1 else 'maps'}, numbered from 0: there is no map {which}")
    return which
