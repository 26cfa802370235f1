"""A sheet: a grid of cells, and the place of each unit on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError, check_type
from toposheet.settings import check_spacing
from toposheet.sheet.grid import cell_numbers, check_shape
from toposheet.wording import counted

Shared = Literal["mean", "largest", "smallest", "sum"]
"""What a map shows in a cell that several units share, see `lay_out`."""
_OF_CELLS = {"largest": np.fmax, "smallest": np.fmin, "sum": np.add}


@dataclass(frozen=True, eq=False, repr=False)
class Sheet:
    """A two-dimensional grid on which each unit of one or several taps has a place (a cell).

    Args:
        shape: Height and width of the grid, in cells.
        places: Row and column of each unit of each tap: {tap: integers (units, 2)}.
        spacing_mm: Distance between the centres of adjacent cells, in mm.
        shared_cells: Whether several units may have one cell, as on imported sheets. See `lay_out` for what a map
            then shows.
        windows: The windows (neighborhoods) within which an objective compares units, if they are stored with the
            sheet: the numbers of the units of each window, or -1 where a window has fewer units. Units are numbered tap
            after tap, in the order of `coordinates`. They fit these places only, see `moved`. None: windows are all
            squares of the grid, see `Neighborhoods.of`.

    Raises:
        UserError: A place is outside the grid, or two units have the same cell although cells are not shared: the
            message names the tap. Or a window has a unit that does not exist, or fewer than 3 units. Or `spacing_mm` is
            not a positive number.
    """

    shape: tuple[int, int]
    places: Mapping[str, Int[np.ndarray, "units 2"]]
    spacing_mm: float = 1.0
    shared_cells: bool = False
    windows: Int[np.ndarray, "windows cells"] | None = None

    def __post_init__(self) -> None:
        check_shape("shape", self.shape)
        check_spacing(self.spacing_mm)
        check_type("places", self.places, Mapping, "a dict {tap: array (units, 2)}")
        taken = np.zeros(self.shape, dtype=bool)
        for tap, places in self.places.items():
            check_type(f"the places of {tap}", places, np.ndarray, "an array (units, 2) of rows and columns")
            if places.ndim != 2 or places.shape[1] != 2:
                raise UserError(f"the places of {tap} have the shape {places.shape}: it must be (units, 2)")
            if (places < 0).any() or (places >= self.shape).any():
                raise UserError(
                    f"{tap} has units outside its {self.shape[0]}x{self.shape[1]} sheet: give places within the sheet"
                )
            cells = cell_numbers(places, self.shape)
            if not self.shared_cells and (len(np.unique(cells)) < len(cells) or taken.flat[cells].any()):
                raise UserError(
                    f"{tap} has units that share a cell of the sheet: give each unit a different cell, or set "
                    "shared_cells=True"
                )
            taken.flat[cells] = True
        if self.windows is not None:
            _check_windows(self.windows, self.n_units)

    def __repr__(self) -> str:
        height, width = self.shape
        grid = f"{height}x{width} cells {self.spacing_mm:g} mm apart"
        shared, stored = self.n_units - self.n_occupied, self.windows
        more = f", {shared:,} of them in the cell of another unit" if shared else ""
        more += f", {len(stored):,} stored windows" if stored is not None else ""
        return f"Sheet({grid}, {counted(self.n_units, 'unit')} of {', '.join(self.places)}{more})"

    def moved(self, places: Mapping[str, Int[np.ndarray, "units 2"]], shared_cells: bool) -> Sheet:
        """Return the sheet with its units at other places.

        Stored windows are the numbers of units that were neighbours. After a unit has moved, they are windows of units
        that may be far apart, so the sheet then has no stored windows: its windows are squares.

        Args:
            places: The new places, for the same taps.
            shared_cells: Whether several units may have one cell now.
        """
        stays = all(np.array_equal(places[tap], before) for tap, before in self.places.items())
        return replace(self, places=places, shared_cells=shared_cells, windows=self.windows if stays else None)

    @property
    def coordinates(self) -> Int[np.ndarray, "units 2"]:
        """Row and column of each unit of the sheet, tap after tap."""
        return np.concatenate(list(self.places.values()))

    @property
    def n_units(self) -> int:
        """Number of units on the sheet."""
        return sum(len(places) for places in self.places.values())

    @property
    def n_occupied(self) -> int:
        """Number of cells with at least one unit."""
        return len(np.unique(cell_numbers(self.coordinates, self.shape))) if self.places else 0


def _check_windows(windows: Any, n_units: int) -> None:
    """Refuse stored windows that do not fit the units of a sheet."""
    check_type("windows", windows, np.ndarray, "an array (windows, cells) of numbers of units")
    if windows.ndim != 2 or windows.dtype.kind not in "iu" or not len(windows):
        raise UserError(
            f"windows is an array of {windows.dtype} of shape {windows.shape}: it must be integers (windows, cells)"
        )
    if windows.min(initial=0) < -1 or windows.max(initial=0) >= n_units:
        raise UserError(
            f"the windows have the units {windows.min()} to {windows.max()}, but the sheet has {n_units} units: give "
            f"numbers from 0 to {n_units - 1}, or -1 for no unit"
        )
    if (windows >= 0).sum(axis=1).min() < 3:
        raise UserError("a window has fewer than 3 units: a correlation over pairs of units needs at least 3 units")


def lay_out(
    values: Float[np.ndarray, "*maps units"],
    coordinates: Int[np.ndarray, "units 2"],
    shape: tuple[int, int],
    shared: Shared = "mean",
) -> Float[np.ndarray, "*maps y x"]:
    """Return values of units as maps on a grid. Cells without a unit are nan.

    The mean of the units of a cell is for values only: the mean of two numbers of clusters is the number of another
    cluster, and a cell is significant if any of its units is. So labels and masks are laid out as `"largest"`, false
    discovery rates as `"smallest"`, and numbers of units as `"sum"`.

    Args:
        values: One value for each unit, or a stack of such values. The last axis is the units.
        coordinates: Row and column of each unit.
        shape: Height and width of the grid, in cells.
        shared: What a cell that several units share shows: the mean, largest or smallest value of its units, or their
            sum. Units whose value is nan are left out, except from the sum.
    """
    grid = np.full((*values.shape[:-1], *shape), np.nan, dtype=values.dtype)
    cells, values = _of_cells(values, cell_numbers(coordinates, shape), shared)
    grid.reshape(*values.shape[:-1], -1)[..., cells] = values
    return grid


def _of_cells(
    values: Float[np.ndarray, "*maps units"], cells: Int[np.ndarray, " units"], shared: Shared
) -> tuple[Int[np.ndarray, " occupied"], Float[np.ndarray, "*maps occupied"]]:
    """Return the occupied cells, and the value of each of them: the mean of its units, for example.

    Args:
        values: One value for each unit, or a stack of such values.
        cells: The number of the cell of each unit.
        shared: What a cell that several units share shows, see `lay_out`.
    """
    if np.bincount(cells).max(initial=0) <= 1:
        return cells, values
    occupied, cell_of = np.unique(cells, return_inverse=True)
    order = np.argsort(cell_of, kind="stable")
    starts = np.flatnonzero(np.diff(cell_of[order], prepend=-1))
    values = values[..., order]
    if shared != "mean":
        return occupied, _OF_CELLS[shared].reduceat(values, starts, axis=-1)
    present = np.isfinite(values)
    total = np.add.reduceat(np.where(present, values, 0), starts, axis=-1)
    n = np.add.reduceat(present, starts, axis=-1, dtype=np.int64)
    return occupied, np.divide(total, n, out=np.full(total.shape, np.nan, values.dtype), where=n > 0)
