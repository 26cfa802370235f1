"""A sheet: a grid of cells and the places of the units that live on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError


@dataclass(frozen=True, eq=False)
class Sheet:
    """A two-dimensional grid on which every unit of one or several taps has a cell of its own.

    Args:
        shape: Height and width in cells.
        places: For each tap, row and column of each of its units: integers (units, 2).
        spacing_mm: Distance between the centres of adjacent cells, in millimetres.

    Raises:
        UserError: a place outside the grid, or two units in one cell; the message names the tap.
    """

    shape: tuple[int, int]
    places: Mapping[str, Int[np.ndarray, "units 2"]]
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        taken = np.zeros(self.shape, dtype=bool)
        for tap, places in self.places.items():
            if places.ndim != 2 or places.shape[1] != 2:
                raise UserError(f"the places of {tap} have shape {places.shape}: it must be (units, 2)")
            if (places < 0).any() or (places >= self.shape).any():
                raise UserError(f"{tap} has units outside its {self.shape[0]}x{self.shape[1]} sheet")
            cells = places[:, 0] * self.shape[1] + places[:, 1]
            if len(np.unique(cells)) < len(cells) or taken.flat[cells].any():
                raise UserError(f"{tap} has units that share a cell of their sheet")
            taken.flat[cells] = True

    @property
    def coordinates(self) -> Int[np.ndarray, "units 2"]:
        """Row and column of all units of the sheet, tap after tap."""
        return np.concatenate(list(self.places.values()))

    @property
    def n_units(self) -> int:
        """How many units live on the sheet."""
        return sum(len(places) for places in self.places.values())


def lay_out(
    values: Float[np.ndarray, "*maps units"],
    coordinates: Int[np.ndarray, "units 2"],
    shape: tuple[int, int],
) -> Float[np.ndarray, "*maps y x"]:
    """Return values of units as maps on the grid; cells without a unit are nan.

    Args:
        values: One value for each unit, or a stack of them; the last axis is the units.
        coordinates: Row and column of each unit.
        shape: Height and width of the grid in cells.
    """
    grid = np.full((*values.shape[:-1], *shape), np.nan, dtype=values.dtype)
    grid[..., coordinates[:, 0], coordinates[:, 1]] = values
    return grid
