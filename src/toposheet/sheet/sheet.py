"""A sheet: a grid of cells, and the place of each unit on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError, check_type
from toposheet.settings import check_spacing
from toposheet.sheet.grid import check_shape


@dataclass(frozen=True, eq=False, repr=False)
class Sheet:
    """A two-dimensional grid on which each unit of one or several taps has a place (a cell). No two units share a cell.

    Args:
        shape: Height and width of the grid, in cells.
        places: Row and column of each unit of each tap: {tap: integers (units, 2)}.
        spacing_mm: Distance between the centres of adjacent cells, in mm.

    Raises:
        UserError: A place is outside the grid, or two units have the same cell: the message names the tap. Or
            `spacing_mm` is not a positive number.
    """

    shape: tuple[int, int]
    places: Mapping[str, Int[np.ndarray, "units 2"]]
    spacing_mm: float = 1.0

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
            cells = places[:, 0] * self.shape[1] + places[:, 1]
            if len(np.unique(cells)) < len(cells) or taken.flat[cells].any():
                raise UserError(f"{tap} has units that share a cell of the sheet: give each unit a different cell")
            taken.flat[cells] = True

    def __repr__(self) -> str:
        height, width = self.shape
        grid = f"{height}x{width} cells {self.spacing_mm:g} mm apart"
        return f"Sheet({grid}, {self.n_units:,} unit{'s' * (self.n_units != 1)} of {', '.join(self.places)})"

    @property
    def coordinates(self) -> Int[np.ndarray, "units 2"]:
        """Row and column of each unit of the sheet, tap after tap."""
        return np.concatenate(list(self.places.values()))

    @property
    def n_units(self) -> int:
        """Number of units on the sheet."""
        return sum(len(places) for places in self.places.values())


def lay_out(
    values: Float[np.ndarray, "*maps units"],
    coordinates: Int[np.ndarray, "units 2"],
    shape: tuple[int, int],
) -> Float[np.ndarray, "*maps y x"]:
    """Return values of units as maps on a grid. Cells without a unit are nan.

    Args:
        values: One value for each unit, or a stack of such values. The last axis is the units.
        coordinates: Row and column of each unit.
        shape: Height and width of the grid, in cells.
    """
    grid = np.full((*values.shape[:-1], *shape), np.nan, dtype=values.dtype)
    grid[..., coordinates[:, 0], coordinates[:, 1]] = values
    return grid
