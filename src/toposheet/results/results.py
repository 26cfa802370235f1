"""What an analysis leaves: tables, maps and facts, in memory or in a folder. This is the one door to such folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

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
        tables: The tables, by what they are.
        maps: Maps of the sheets, over (..., sheet, y, x); None where there are none.
        facts: What decided the numbers: settings, stimuli, models. As JSON holds it.
    """

    tables: Mapping[Table, pd.DataFrame]
    maps: xr.Dataset | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, table: Table) -> pd.DataFrame:
        """Return a table.

        Raises:
            NotFound: the analysis has none.
        """
        if (frames := self.get(table)) is None:
            raise NotFound(f"these results have no {table.file}")
        return frames

    def get(self, table: Table) -> pd.DataFrame | None:
        """Return a table, None where the analysis has none."""
        return next((frame for known, frame in self.tables.items() if known.file == table.file), None)

    def write(self, folder: str | Path, replaces: Iterable[str] = ()) -> None:
        """Write the results to a folder: all of them, or none. A folder that is left half-way holds no results.

        Args:
            folder: Made where it is missing.
            replaces: Names of files that earlier results may have left there and that would now be wrong.
        """
        folder = path_of(folder)
        with folder_aside(folder, last=FACTS) as aside:
            for table, frame in self.tables.items():
                table.write(frame, aside)
            if self.maps is not None:
                self.maps.to_netcdf(aside / MAPS, engine="h5netcdf")
            (aside / FACTS).write_text(json.dumps(self.facts, indent=2) + "\n", encoding="utf-8")
            written = {path.name for path in aside.iterdir()}
            for name in (FACTS, *({MAPS, *replaces} - written)):
                (folder / name).unlink(missing_ok=True)


def read_results(folder: Path, tables: Iterable[Table]) -> Results:
    """Return the results that lie in a folder, as they were written.

    Args:
        folder: The folder.
        tables: Those that are read, where they are there.

    Raises:
        NotFound: the folder holds no results.
        UserError: a file is damaged; the message names it.
    """
    frames = {table: table.read(folder) for table in tables if (folder / table.file).is_file()}
    maps = read_maps(folder / MAPS) if (folder / MAPS).is_file() else None
    return Results(frames, maps, read_facts(folder))


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what decided the numbers of the results in a folder.

    Raises:
        NotFound: the folder holds no results.
        UserError: the file is damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        raise NotFound(f"{folder} holds no results (no {FACTS})")
    try:
        facts = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from None
    if not isinstance(facts, dict):
        raise UserError(f"{path} is damaged: it holds no facts by name")
    return facts


def read_maps(path: Path) -> xr.Dataset:
    """Return maps or masks from a NetCDF file, in memory.

    Raises:
        UserError: it cannot be read; the message names the file.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load()
    except Exception as error:  # of whatever kind h5py and xarray raise
        raise UserError(f"{path} cannot be read as maps: {first_line(error)}") from None
