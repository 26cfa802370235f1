"""The layout of each tap: the numbers of its units, and their cells on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from toposheet.errors import UserError, check_type, did_you_mean, listed
from toposheet.sheet import lay_out
from toposheet.stats import shuffled

ALL_TAPS = "*"
"""The name in tables for the mean over all taps, or for the units of all taps together."""


@dataclass(frozen=True, eq=False)
class TapLayout:
    """The units of one tap and their cells. In a map of this tap, the cells of other taps on the same sheet are holes.

    Args:
        name: Name of the tap.
        sheet: Name of its sheet.
        units: Indices of the tap's units among all units.
        cells: Row and column of each unit, on the smallest grid that holds all units of the tap.
        shape: Height and width of this grid, in cells.
        origin: Row and column on the sheet of the first cell of this grid.
        spacing_mm: Distance between adjacent cells, in mm.
    """

    name: str
    sheet: str
    units: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]
    origin: tuple[int, int]
    spacing_mm: float

    def map(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., all units) as maps of this tap (..., y, x). The maps have floating-point numbers.

        Args:
            values: Values of all units of all taps; the last axis is the units.
        """
        tap_values = values[..., self.units]
        return lay_out(tap_values if tap_values.dtype.kind == "f" else tap_values.astype(float), self.cells, self.shape)

    def at_units(self, grid: np.ndarray) -> np.ndarray:
        """Return the values of maps (..., y, x) at the units of the tap: (..., units of the tap).

        Args:
            grid: One map or a stack of maps.
        """
        return grid[..., self.cells[:, 0], self.cells[:, 1]]


def shuffled_places(taps: Sequence[TapLayout], permutations: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random orders of the units of each tap: draws of the place-null.

    Taps whose units are at the same places, unit by unit, get the same orders. Such taps are layers of one residual
    stream, for example, so their maps are alike. With independent orders, the null of their mean would be too narrow.

    Args:
        taps: The layouts of the taps.
        permutations: Number of orders.
        rng: Generator of the random draws.

    Returns:
        For each tap: for each order and each place, the index of the unit within the tap that sits there (permutations,
        units of the tap).
    """
    by_placement: dict[bytes, np.ndarray] = {}
    orders = []
    for tap in taps:
        placement = np.ascontiguousarray(tap.cells, dtype=np.int64).tobytes()
        if placement not in by_placement:
            by_placement[placement] = shuffled(len(tap.units), permutations, rng)
        orders.append(by_placement[placement])
    return orders


def tap_layouts(values: xr.DataArray | xr.Dataset) -> list[TapLayout]:
    """Return the layout of each tap, tap after tap.

    Args:
        values: Any array over `unit` with its coordinates: responses, a statistic of each unit, or a localizer.
    """
    check_coordinates(values, "tap", "sheet", "spacing_mm")
    names, taps = values["tap"].values, []
    for name in dict.fromkeys(names.tolist()):
        units = np.flatnonzero(names == name)
        tap_values = values.isel(unit=units)
        sheet, spacing = str(tap_values["sheet"].values[0]), float(tap_values["spacing_mm"].values[0])
        cells, shape = cells_of(tap_values)
        origin = (int(tap_values["y"].min()), int(tap_values["x"].min()))
        taps.append(TapLayout(name, sheet, units, cells, shape, origin, spacing))
    return taps


def cells_of(values: xr.DataArray | xr.Dataset) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the cells of units on the smallest grid that holds all of them, and the shape of this grid."""
    check_coordinates(values, "y", "x")
    cells = np.stack([values["y"].values, values["x"].values], axis=1)
    cells = cells - cells.min(axis=0)
    height, width = (cells.max(axis=0) + 1).tolist()
    return cells, (height, width)


def check_coordinates(values: xr.DataArray | xr.Dataset, *names: str) -> None:
    """Refuse an array that lacks a coordinate.

    Args:
        values: The array.
        names: Names of the coordinates that it must have.

    Raises:
        UserError: It is not a DataArray, or a coordinate is missing. The message lists the existing ones.
    """
    check_type("the argument", values, (xr.DataArray, xr.Dataset), "responses as toposheet.respond returns them")
    if missing := [name for name in names if name not in values.coords]:
        existing = list(map(str, values.coords))
        raise UserError(
            f"the responses have no coordinate {missing[0]!r}; they have: {listed(existing) or 'none'} (respond makes "
            "responses with the coordinates of the units and the columns of the stimuli)."
            f"{did_you_mean(missing[0], existing)}"
        )


def mean_over_taps(values: Float[np.ndarray, "*draws taps"]) -> Float[np.ndarray, "*draws 1"]:
    """Return the mean over the taps in which a statistic is defined; nan if it is undefined in all taps."""
    defined = np.isfinite(values)
    n = defined.sum(axis=-1, keepdims=True)
    return np.where(n > 0, np.where(defined, values, 0.0).sum(axis=-1, keepdims=True) / np.maximum(n, 1), np.nan)
