"""The results of an analysis: tables, maps and facts. Only this file writes and reads folders of results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.errors import NotFound, UserError, first_line
from toposheet.files import folder_aside, path_of
from toposheet.results.table import Table

MAPS, FACTS = "maps.nc", "analysis.json"


@final
@dataclass(frozen=True, eq=False)
class Results:
    """Tables, maps and facts of one analysis.

    Args:
        tables: The tables: {definition of the table: rows}.
        maps: Maps of the sheets, with the dimensions (..., sheet, y, x). None: there are no maps.
        facts: Settings, stimuli and models that determine the numbers. All values can be written as JSON.
    """

    tables: Mapping[Table, pd.DataFrame]
    maps: xr.Dataset | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

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

    def write(self, folder: str | Path, replaces: Iterable[str] = ()) -> None:
        """Write the results to a folder. If an error occurs before the end, the folder counts as without results.

        Args:
            folder: The folder. It is created if it does not exist.
            replaces: Names of files of earlier results. They are removed from the folder if the new results do not
                write them, because they would not match the new results.
        """
        folder = path_of(folder)
        with folder_aside(folder, last=FACTS, replaces=(MAPS, *replaces)) as aside:
            for table, frame in self.tables.items():
                table.write(frame, aside)
            if self.maps is not None:
                self.maps.to_netcdf(aside / MAPS, engine="h5netcdf")
            (aside / FACTS).write_text(json.dumps(self.facts, indent=2) + "\n", encoding="utf-8")


def read_results(folder: Path, tables: Iterable[Table]) -> Results:
    """Return the results from a folder, with the same values as when they were written.

    Args:
        folder: The folder.
        tables: The tables to read. A table whose file does not exist is skipped.

    Raises:
        NotFound: The folder has no results.
        UserError: A file is damaged. The message names the file.
    """
    frames = {table: table.read(folder) for table in tables if (folder / table.file).is_file()}
    maps = read_maps(folder / MAPS) if (folder / MAPS).is_file() else None
    return Results(frames, maps, read_facts(folder))


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of the results in a folder: settings, stimuli and models.

    Raises:
        NotFound: The folder has no results.
        UserError: The file is damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        raise NotFound(f"{folder} has no results: it has no {FACTS}")
    try:
        facts = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}; make the results again") from None
    if not isinstance(facts, dict):
        raise UserError(f"{path} is damaged: it must be a JSON object; make the results again")
    return facts


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
