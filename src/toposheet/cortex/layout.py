"""The layout of each tap: the numbers of its units, and their cells on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from toposheet.errors import UserError, check_type, did_you_mean, listed
from toposheet.sheet import Shared, lay_out
from toposheet.stats import shuffled

ALL_TAPS = "*"
"""The name in tables for all taps of a sheet together, or for all taps of all sheets."""
MEAN_OVER_TAPS = {"sheet": ALL_TAPS, "tap": ALL_TAPS}
"""What tables have in the rows of the mean over taps."""


@dataclass(frozen=True, eq=False)
class TapLayout:
    """The units of one tap and their cells, or those of a whole sheet with several taps.

    In a map of one tap, the cells of other taps on the same sheet are holes. If several units share a cell, the
    argument `shared` of `map` decides what the cell shows.

    Args:
        name: Name of the tap, or `*` for all taps of the sheet.
        sheet: Name of the sheet.
        units: Indices of these units among all units.
        cells: Row and column of each unit, on the smallest grid that holds all these units.
        shape: Height and width of this grid, in cells.
        origin: Row and column on the sheet of the first cell of this grid.
        spacing_mm: Distance between adjacent cells, in mm.
        units_of_taps: Indices among all units of the units of each tap.
    """

    name: str
    sheet: str
    units: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]
    origin: tuple[int, int]
    spacing_mm: float
    units_of_taps: tuple[np.ndarray, ...]

    @property
    def is_sheet(self) -> bool:
        """Whether these are the units of a whole sheet with several taps."""
        return self.name == ALL_TAPS

    def map(self, values: np.ndarray, shared: Shared = "mean") -> np.ndarray:
        """Return values (..., all units) as maps of these units (..., y, x). The maps have floating-point numbers.

        Args:
            values: Values of all units of all taps; the last axis is the units.
            shared: What a cell that several units share shows, see `sheet.lay_out`: not the mean for labels and masks.
        """
        of_units = values[..., self.units]
        of_units = of_units if of_units.dtype.kind == "f" else of_units.astype(float)
        return lay_out(of_units, self.cells, self.shape, shared)

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., all units); those of a sheet with several taps have mean 0 and sd 1 in each tap.

        Taps differ in the mean and the spread of their values. A border between them is no topography, so it must not
        count in the spatial autocorrelation of the sheet. In one tap, neither changes the autocorrelation.

        Args:
            values: Values of all units of all taps; the last axis is the units. Silent units are nan.
        """
        if not self.is_sheet:
            return values
        values = values.astype(float)
        for units in self.units_of_taps:
            of_tap = values[..., units]
            live = np.isfinite(of_tap)
            n, of_live = np.maximum(live.sum(axis=-1, keepdims=True), 1), np.where(live, of_tap, 0.0)
            deviations = np.where(live, of_tap - of_live.sum(axis=-1, keepdims=True) / n, 0.0)
            spread = np.sqrt((deviations**2).sum(axis=-1, keepdims=True) / n)
            scaled = np.divide(deviations, spread, out=np.zeros_like(deviations), where=spread > 0)
            values[..., units] = np.where(live, scaled, np.nan)
        return values

    def at_units(self, grid: np.ndarray) -> np.ndarray:
        """Return the values of maps (..., y, x) at the units: (..., units of the tap or sheet).

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
    names = values["tap"].values
    return [_layout(name, values, np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]


def sheet_layouts(values: xr.DataArray | xr.Dataset) -> list[TapLayout]:
    """Return the layout of each sheet, sheet after sheet: that of its tap, or that of all its taps together.

    Args:
        values: Any array over `unit` with its coordinates, see `tap_layouts`.
    """
    check_coordinates(values, "tap", "sheet", "spacing_mm")
    sheets, layouts = values["sheet"].values, []
    for sheet in dict.fromkeys(sheets.tolist()):
        units = np.flatnonzero(sheets == sheet)
        layouts.append(_layout(tap_of(values["tap"].values[units]), values, units))
    return layouts


def map_layouts(values: xr.DataArray | xr.Dataset) -> list[TapLayout]:
    """Return the layout of each tap, tap after tap, and then that of each sheet with several taps.

    Args:
        values: Any array over `unit` with its coordinates, see `tap_layouts`.
    """
    return [*tap_layouts(values), *(sheet for sheet in sheet_layouts(values) if sheet.is_sheet)]


def tap_of(taps: np.ndarray) -> str:
    """Return the tap of units; `*` if they are of several taps.

    Args:
        taps: The tap of each unit.
    """
    names = dict.fromkeys(taps.tolist())
    return next(iter(names)) if len(names) == 1 else ALL_TAPS


def _layout(name: str, values: xr.DataArray | xr.Dataset, units: np.ndarray) -> TapLayout:
    of_units = values.isel(unit=units)
    sheet, spacing = str(of_units["sheet"].values[0]), float(of_units["spacing_mm"].values[0])
    cells, shape = cells_of(of_units)
    origin = (int(of_units["y"].min()), int(of_units["x"].min()))
    taps = of_units["tap"].values
    units_of_taps = tuple(units[taps == tap] for tap in dict.fromkeys(taps.tolist()))
    return TapLayout(name, sheet, units, cells, shape, origin, spacing, units_of_taps)


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


def row_names(layouts: Sequence[TapLayout]) -> dict[str, list[str]]:
    """Return the columns `sheet` and `tap` of a table: a row for each layout, and a last row for the mean over taps."""
    return {
        "sheet": [*(layout.sheet for layout in layouts), ALL_TAPS],
        "tap": [*(layout.name for layout in layouts), ALL_TAPS],
    }


def with_mean(values: Float[np.ndarray, "*draws maps"], layouts: Sequence[TapLayout]) -> Float[np.ndarray, "*draws _"]:
    """Return values of layouts with their mean over taps as a last column. Whole sheets do not count in this mean.

    Args:
        values: A value for each layout.
        layouts: The layouts.
    """
    taps = [not layout.is_sheet for layout in layouts]
    return np.concatenate([values, mean_over_taps(values[..., taps])], axis=-1)


def mean_over_taps(values: Float[np.ndarray, "*draws taps"]) -> Float[np.ndarray, "*draws 1"]:
    """Return the mean over the taps in which a statistic is defined; nan if it is undefined in all taps."""
    defined = np.isfinite(values)
    n = defined.sum(axis=-1, keepdims=True)
    return np.where(n > 0, np.where(defined, values, 0.0).sum(axis=-1, keepdims=True) / np.maximum(n, 1), np.nan)
