"""The files of published stimulus sets: found where they are kept, and known by their hash."""

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
    """Return the table of a published set; column `file` says where each text of a set in several files stands.

    Args:
        name: Of the set.
        files: Its files, relative to where stimuli are kept.
        sha256: The hash of these files, one after another.
        data: Where they are kept, if not in `$TOPOSHEET_DATA` or an installed `brainscore-language`.

    Raises:
        NotFound: files are missing; says where they were looked for.
        UserError: a file is damaged or not the one known by this name.
    """
    paths = find_files(name, files, data)
    if (checksum := sha256_of(paths)) != sha256:
        raise UserError(
            f"{paths[0].parent} holds another {name} than the one known (SHA-256 {checksum[:12]}…, wanted "
            f"{sha256[:12]}…): read it as a file of your own, with --stimuli FILE"
        )
    tables = [read_stimuli(path) for path in paths]
    source = str(paths[0])
    if len(tables) > 1:
        source = name
        tables = [t.assign(file=path.name) for t, path in zip(tables, paths, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    table.attrs = {"source": source}  # how such files are read needs no note
    return table


def sha256_of(paths: Sequence[Path]) -> str:
    """Return the hash of files, one after another."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def find_files(name: str, files: Sequence[str], data: str | Path | None = None) -> list[Path]:
    """Return where the files of a published set are, in order.

    Args:
        name: Of the set, for the message.
        files: See `read_published`; they may also lie in a folder without their own folders.
        data: See `read_published`.

    Raises:
        NotFound: there is no folder with all of them; says where they were looked for.
    """
    looked: list[Path] = []
    for folder in _folders(data):
        for paths in ([folder / file for file in files], [folder / Path(file).name for file in files]):
            if all(path.is_file() for path in paths):
                return paths
        looked.append(folder)
    raise NotFound(
        f"the files of {name} ({files[0]}{' ...' if len(files) > 1 else ''}) are not in "
        f"{', '.join(map(str, looked)) or 'any folder named'}: say where with --data DIR or TOPOSHEET_DATA"
    )


def _folders(data: str | Path | None) -> list[Path]:
    """Return where files of stimuli may be: a folder given, else the one of the environment and Brain-Score's own."""
    named = os.environ.get("TOPOSHEET_DATA") if data is None else data
    given = [path_of(named)] if named else []
    folders = [place for folder in given for place in (folder, folder / "stimuli")]
    if data is None and (package := importlib.util.find_spec("brainscore_language")):
        places = package.submodule_search_locations or []
        folders += [Path(place) / "data" / "fedorenko2010_localization" for place in places]
    return folders
