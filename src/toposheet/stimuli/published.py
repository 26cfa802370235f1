"""The files of published stimulus sets. They are searched for in several folders, and checked by their SHA-256."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from toposheet.errors import NotFound, UserError
from toposheet.files import path_of
from toposheet.stimuli.table import read_stimuli

AUTHORS_TERMS = "the authors' own terms; not part of toposheet"


def read_published(name: str, files: Sequence[str], sha256: str, data: str | Path | None = None) -> pd.DataFrame:
    """Return the table of a published set.

    If the set has several files, the column `file` holds the name of the file of each text.

    Args:
        name: Name of the set.
        files: The files of the set, as paths relative to the folder of the stimuli.
        sha256: The SHA-256 of the contents of these files, joined in this order.
        data: The folder of the stimuli. None: `$TOPOSHEET_DATA`, or the folder of an installed
            `brainscore-language`.

    Raises:
        NotFound: A file is missing. The message says where it was searched for.
        UserError: A file is damaged, or it differs from the published file.
    """
    paths = find_files(name, files, data)
    if (checksum := sha256_of(paths)) != sha256:
        raise UserError(
            f"the files of {name} in {paths[0].parent} differ from the published files (their SHA-256 begins with "
            f"{checksum[:12]}, wanted {sha256[:12]}): get the published files, or use yours with --stimuli FILE"
        )
    tables = [read_stimuli(path) for path in paths]
    source = str(paths[0])
    if len(tables) > 1:
        source = name
        tables = [t.assign(file=path.name) for t, path in zip(tables, paths, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    # The notes on how a file was read are dropped, because a published file needs none.
    table.attrs = {"source": source}
    return table


def sha256_of(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the joined contents of files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def find_files(name: str, files: Sequence[str], data: str | Path | None = None) -> list[Path]:
    """Return the paths of the files of a published set, in the order of `files`.

    Args:
        name: Name of the set, for the message.
        files: See `read_published`. The files may also have the names of TopoLM's repository
            (`published_name`), or lie directly in the folder, without their subfolders.
        data: See `read_published`.

    Raises:
        NotFound: No folder holds all files. The message says which folders were searched.
    """
    looked: list[Path] = []
    for folder in _folders(data):
        for paths in (
            [folder / file for file in files],
            [folder / published_name(file) for file in files],
            [folder / Path(file).name for file in files],
        ):
            if all(path.is_file() for path in paths):
                return paths
        looked.append(folder)
    raise NotFound(
        f"the files of {name} ({files[0]}{' ...' if len(files) > 1 else ''}) are not in "
        f"{', '.join(map(str, looked)) or 'any known folder'}: give their folder with --data DIR "
        "(in Python: data=DIR) or TOPOSHEET_DATA"
    )


_FOLDER_OR_FILE = {
    "fedorenko10": "fedorenko10_stimuli",
    "fedorenko_swjn.csv": "fedorenko_stimuli.csv",
    "moseley.csv": "moseley_stimuli.csv",
}
PAIRS = "elli_stimuli.csv"


def published_name(file: str) -> str:
    """Return the path of a file of a published set as it is called in TopoLM's repository."""
    first, *rest = Path(file).parts
    return str(Path(_FOLDER_OR_FILE.get(first, first), *rest))


def find_pairs(data: str | Path | None = None) -> Path | None:
    """Return the path of TopoLM's file of noun pairs and verb pairs, `elli_stimuli.csv`; None if no folder has it.

    Args:
        data: See `read_published`.
    """
    return next((path for folder in _folders(data) if (path := folder / PAIRS).is_file()), None)


def _folders(data: str | Path | None) -> list[Path]:
    """Return the folders to search for files of stimuli.

    If `data` is given, only this folder is searched. Otherwise `$TOPOSHEET_DATA` and the folder of an installed
    `brainscore-language` are searched.
    """
    named = os.environ.get("TOPOSHEET_DATA") if data is None else data
    given = [path_of(named)] if named else []
    folders = [place for folder in given for place in (folder, folder / "stimuli")]
    if data is None and (package := importlib.util.find_spec("brainscore_language")):
        places = package.submodule_search_locations or []
        folders += [Path(place) / "data" / "fedorenko2010_localization" for place in places]
    return folders
