"""The results of an analysis: tables, maps, figures and facts. Only this file writes and reads folders of results.

A folder holds the results of one analysis. Its file `analysis.json` has the facts of the analysis and, under `files`,
the names of the other files of the results. The next results in this folder replace these files, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.errors import NotFound, UserError, first_line
from toposheet.files import folder_aside, path_of, write_file
from toposheet.results.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAPS, FACTS, FIGURES = "maps.nc", "analysis.json", "figures"
_FILES = "files"  # the entry of `analysis.json` with the names of the files


@final
@dataclass(frozen=True, eq=False)
class Results:
    """Tables, maps, facts and figures of one analysis.

    Args:
        tables: The tables: {definition of the table: rows}.
        maps: Maps of the sheets, with the dimensions (..., sheet, y, x). None: there are no maps.
        facts: Settings, stimuli and models that determine the numbers. All values can be written as JSON.
        figures: The figures: {name of their files, without ending: figure}.
    """

    tables: Mapping[Table, pd.DataFrame]
    maps: xr.Dataset | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __getitem__(self, table: Table) -> pd.DataFrame:
        """Return a table.

        Raises:
            NotFound: The results do not have this table.
        """
        if (frames := self.get(table)) is None:
            raise NotFound(f"these results have no {table.file}")
        return frames

    def get(self, table: Table) -> pd.DataFrame | None:
        """Return a table, or None if the results do not have it."""
        return next((frame for known, frame in self.tables.items() if known.file == table.file), None)

    def write(self, folder: str | Path) -> None:
        """Write the results to a folder, in place of the results of an earlier analysis (`written_together`).

        Args:
            folder: The folder. It is created if it does not exist.

        Raises:
            UserError: The folder cannot be made.
        """
        with self.written_together(folder):
            pass

    @contextmanager
    def written_together(self, folder: str | Path) -> Generator[Path, None, None]:
        """Yield a temporary folder that holds the results, to which further files of the analysis can be written.

        When the block ends without an error, all files are moved to `folder`. The files of earlier results there are
        removed, because `analysis.json` no longer describes them; all other files stay. If the block ends with an
        error or is interrupted, `folder` stays as it was. If the moving is interrupted, `folder` counts as without
        results.

        Args:
            folder: The folder. It is created if it does not exist.

        Raises:
            UserError: The folder cannot be made.
        """
        folder = path_of(folder)
        with folder_aside(folder, last=FACTS, replaces=files_of_results(folder)) as aside:
            for table, frame in self.tables.items():
                table.write(frame, aside)
            if self.maps is not None:
                self.maps.to_netcdf(aside / MAPS, engine="h5netcdf")
            if self.figures:
                from toposheet.figures.files import save_figure  # imports matplotlib, which tables do not need

                (aside / FIGURES).mkdir()
                for name, figure in self.figures.items():
                    save_figure(figure, aside / FIGURES, name)
            yield aside
            _write_facts(self.facts, _files_in(aside), aside)


@contextmanager
def added_to_results(folder: str | Path, last: str = "", replaces: Iterable[str] = ()) -> Generator[Path, None, None]:
    """Yield a temporary folder, to which files can be written that belong to the results in `folder`.

    When the block ends without an error, the files are moved to `folder`, and the next results there replace them too.
    If there are no results in `folder`, the files are moved to it, and nothing else happens. If the block ends with an
    error or is interrupted, `folder` stays as it was.

    Args:
        folder: The folder. It is created if it does not exist.
        last: See `folder_aside`.
        replaces: Names from `files_of_results`, of files that would not match the new files. They are removed.

    Raises:
        UserError: The folder cannot be made, or its `analysis.json` is damaged.
    """
    folder, replaced = path_of(folder), set(replaces)
    facts = read_facts(folder) if (folder / FACTS).is_file() else None
    with folder_aside(folder, last=last, replaces=replaced) as aside:
        yield aside
        if facts is not None:  # before the files are moved, so that an interruption leaves no file without its name
            _write_facts(facts, {*files_of_results(folder)} - replaced | {*_files_in(aside)}, folder)


def files_of_results(folder: Path) -> list[str]:
    """Return the names of the files that `analysis.json` in a folder names, such as `figures/scores.png`.

    Only names of files that are in the folder, or in its folder `figures`, are returned. So whatever stands in a
    damaged `analysis.json`, no name leads out of the folder.
    """
    try:
        named = _content(folder).get(_FILES)
    except UserError:
        return []
    if not isinstance(named, list):
        return []
    figures = folder / FIGURES
    places = [folder, figures] if figures.is_dir() and not figures.is_symlink() else [folder]
    paths = {path.relative_to(folder).as_posix(): path for place in places for path in place.iterdir()}
    return [name for name, path in paths.items() if name in named and path.is_file()]


def read_results(folder: Path, tables: Iterable[Table]) -> Results:
    """Return the results from a folder, with the same values as when they were written. Figures are not read.

    Args:
        folder: The folder.
        tables: The tables to read. A table that the results in the folder do not have is skipped.

    Raises:
        NotFound: The folder has no results.
        UserError: A file is damaged. The message names the file.
    """
    facts, files = read_facts(folder), files_of_results(folder)
    frames = {table: table.read(folder) for table in tables if table.file in files}
    return Results(frames, read_maps(folder / MAPS) if MAPS in files else None, facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of the results in a folder: settings, stimuli and models.

    Raises:
        NotFound: The folder has no results.
        UserError: The file is damaged.
    """
    return {name: fact for name, fact in _content(folder).items() if name != _FILES}


def _content(folder: Path) -> dict[str, Any]:
    """Return the content of `analysis.json`: the facts, and the names of the files.

    Raises:
        NotFound: The folder has no results.
        UserError: The file is damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        raise NotFound(f"{folder} has no results: it has no {FACTS}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}; make the results again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it must be a JSON object; make the results again")
    return content


def _write_facts(facts: Mapping[str, Any], files: Iterable[str], folder: Path) -> None:
    """Write `analysis.json`: the facts, and the names of the other files of the results."""
    assert _FILES not in facts, f"{_FILES} is the entry of the names of the files, not a fact"
    write_file(folder / FACTS, json.dumps({**facts, _FILES: sorted(files)}, indent=2) + "\n")


def _files_in(folder: Path) -> list[str]:
    """Return the names of all files in a folder and in the folders in it."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def read_maps(path: Path) -> xr.Dataset:
    """Return maps or masks from a NetCDF file, loaded into memory, with attributes of the types of Python.

    Raises:
        UserError: The file cannot be read. The message names the file.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            maps = stored.load()
    except Exception as error:  # h5py and xarray raise many kinds
        raise UserError(f"{path} cannot be read as maps (NetCDF): {first_line(error)}") from None
    for attributes in (maps.attrs, *(variable.attrs for variable in maps.variables.values())):
        attributes |= {k: v.item() for k, v in attributes.items() if isinstance(v, np.generic)}
    return maps
