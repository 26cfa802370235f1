"""Where the units of each tap are: among all units, and on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from toposheet.errors import UserError
from toposheet.sheet import lay_out
from toposheet.stats import shuffled_within

ALL_TAPS = "*"
"""What tables call the mean over all taps, or the units of all taps together."""


@dataclass(frozen=True, eq=False)
class TapLayout:
    """Where the units of one tap are. Cells of the sheet that other taps have are holes of its maps.

    Args:
        name: Of the tap.
        sheet: Of its sheet.
        units: Which of all units are its own.
        cells: Row and column of each, on the smallest grid that holds them.
        shape: Height and width of that grid.
        spacing_mm: Distance between adjacent cells.
    """

    name: str
    sheet: str
    units: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]
    spacing_mm: float

    def map(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., all units) of this tap as maps (..., y, x); values that are not floats as floats."""
        tap_values = values[..., self.units]
        return lay_out(tap_values if tap_values.dtype.kind == "f" else tap_values.astype(float), self.cells, self.shape)

    def shuffled(self, permutations: int, rng: np.random.Generator) -> np.ndarray:
        """Return orders (permutations, units of the tap) in which the units change places: draws of the place-null."""
        return shuffled_within(np.zeros(len(self.units), dtype=np.int64), permutations, rng)

    def at_units(self, grid: np.ndarray) -> np.ndarray:
        """Return the values (..., units of the tap) of maps (..., y, x)."""
        return grid[..., self.cells[:, 0], self.cells[:, 1]]


def tap_layouts(values: xr.DataArray | xr.Dataset) -> list[TapLayout]:
    """Return where the units of each tap are, tap after tap, of responses, of values over units or of a mask."""
    check_coordinates(values, "tap", "sheet", "spacing_mm")
    names, taps = values["tap"].values, []
    for name in dict.fromkeys(names.tolist()):
        units = np.flatnonzero(names == name)
        tap_values = values.isel(unit=units)
        sheet, spacing = str(tap_values["sheet"].values[0]), float(tap_values["spacing_mm"].values[0])
        taps.append(TapLayout(name, sheet, units, *cells_of(tap_values), spacing))
    return taps


def cells_of(values: xr.DataArray | xr.Dataset) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the cells of units on the smallest grid that holds them all, and the shape of that grid."""
    check_coordinates(values, "y", "x")
    cells = np.stack([values["y"].values, values["x"].values], axis=1)
    cells = cells - cells.min(axis=0)
    height, width = (cells.max(axis=0) + 1).tolist()
    return cells, (height, width)


def check_coordinates(values: xr.DataArray | xr.Dataset, *names: str) -> None:
    """Refuse an array that does not say of its stimuli or units what is needed.

    Raises:
        UserError: a coordinate is missing; lists those there are.
    """
    if missing := [name for name in names if name not in values.coords]:
        listed = ", ".join(map(str, values.coords)) or "none"
        raise UserError(
            f"the responses have no coordinate {missing[0]!r}; they have: {listed} (respond gives those of units and "
            "the columns of the stimuli)"
        )
