"""The geometry of a sheet: its shape, and the distances between its cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError


def check_shape(name: str, shape: Any) -> None:
    """Refuse a value that is not the height and width of a sheet.

    Args:
        name: Name of the value in the message.
        shape: The value.

    Raises:
        UserError: The value does not consist of two integers of at least 1.
    """
    whole = isinstance(shape, tuple | list) and all(isinstance(side, int | np.integer) and side >= 1 for side in shape)
    if not whole or len(shape) != 2:
        raise UserError(f"{name} is {shape!r}: it must be the height and the width in cells, such as (24, 32)")


def square_shape(width: int) -> tuple[int, int]:
    """Return the (height, width) of the square sheet that `width` units fill.

    Args:
        width: Number of units of a tap.

    Raises:
        UserError: `width` is not a square number. The message names a rectangular sheet that holds all units, and its
            number of empty cells.
    """
    side = math.isqrt(width)
    if side * side == width and side > 0:
        return side, side
    height, length = nearest_rectangle(width)
    raise UserError(
        f"{width} units do not fill a square sheet: give the height and width of a sheet that holds them, for example "
        f"shape=({height}, {length}){_holes(width, height * length)} (--sheet-shape {height} {length} of a recipe)"
    )


def _holes(n_units: int, n_cells: int) -> str:
    """Return how many cells of a sheet stay empty, in words. Empty text: none."""
    empty = n_cells - n_units
    return f" with {empty} empty cell{'s' * (empty != 1)}" if empty else ""


def full_rectangle(n_units: int) -> tuple[int, int]:
    """Return the (height, width) of the most square-like sheet without empty cells for a number of units."""
    height = next(rows for rows in range(max(math.isqrt(n_units), 1), 0, -1) if n_units % rows == 0)
    return height, n_units // height


def nearest_rectangle(n_units: int) -> tuple[int, int]:
    """Return the (height, width) of a sheet for a number of units: the most square-like sheet without empty cells.

    If the width of this sheet would be more than three times its height, as with a prime number of units, the sheet has
    some empty cells instead: its height is the square root of the number of units, rounded down, and its width is the
    smallest width that gives each unit a cell.
    """
    height, width = full_rectangle(n_units)
    if n_units > 3 * height**2:
        height = max(math.isqrt(n_units), 1)
        return height, -(-n_units // height)
    return height, width


def cell_numbers(places: Int[np.ndarray, "units 2"], shape: tuple[int, int]) -> Int[np.ndarray, " units"]:
    """Return the number of the cell at each place. Cells are counted row after row.

    Args:
        places: Row and column of each unit.
        shape: Height and width of the grid, in cells.
    """
    return places[:, 0] * shape[1] + places[:, 1]


def distances(
    coordinates: Int[np.ndarray, "units 2"], metric: str, others: Int[np.ndarray, "others 2"] | None = None
) -> Float[np.ndarray, "units _"]:
    """Return the distance between each two places, in cells.

    Args:
        coordinates: Row and column of each unit.
        metric: `"chebyshev"`: the larger of the difference in rows and the difference in columns (the l-infinity
            distance of the TopoLM paper). `"euclidean"`: the straight-line distance (TopoLM's published code).

        others: The places to which distances are measured. None: the same places.

    Raises:
        UserError: `metric` is neither `"chebyshev"` nor `"euclidean"`.
    """
    steps = np.abs(coordinates[:, None, :] - (coordinates if others is None else others)).astype(np.float64)
    if metric == "chebyshev":
        return steps.max(axis=-1)
    if metric == "euclidean":
        return np.sqrt((steps**2).sum(axis=-1))
    raise UserError(f"metric is {metric!r}: it must be 'chebyshev' or 'euclidean'")
