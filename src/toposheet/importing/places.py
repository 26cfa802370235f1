"""Places of units from the arrays of files."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Num

from toposheet.importing.unreadable import Unreadable

LARGEST = 2**31
"""Coordinates and the sides of sheets are smaller."""

_MOST_CELLS = 1000
"""A sheet has at most this number of cells for each unit. A damaged coordinate would ask for a sheet of any size."""


def whole_numbers(array: Num[np.ndarray, ...], what: str) -> Int[np.ndarray, ...]:
    """Return an array as integers.

    Args:
        array: Truth values, integers or floating-point numbers.
        what: What the array holds, for the message.

    Raises:
        Unreadable: A number is not whole, or far too large. The message begins with a verb.
    """
    if not np.isfinite(array).all() or (np.abs(array.astype(np.float64)) >= LARGEST).any():
        raise Unreadable(f"has {what} that are no numbers, or too large")
    numbers = array.astype(np.int64)
    if (numbers != array).any():
        raise Unreadable(f"has {what} that are not whole numbers")
    return numbers


def check_within(places: Int[np.ndarray, "units 2"], shape: tuple[int, int], n_units: int) -> None:
    """Refuse places outside of a sheet, and a sheet that is nearly empty.

    Args:
        places: Row and column of each unit.
        shape: Height and width of the sheet, in cells.
        n_units: Number of all units on the sheet.

    Raises:
        Unreadable: The message begins with a verb.
    """
    if (places < 0).any() or (places >= shape).any():
        rows, columns = (f"{axis.min()} to {axis.max()}" for axis in places.T)
        raise Unreadable(
            f"has coordinates outside of its sheet of {shape[0]}x{shape[1]} cells: rows {rows}, columns {columns}"
        )
    if shape[0] * shape[1] > _MOST_CELLS * n_units:
        raise Unreadable(
            f"has coordinates on a sheet of {shape[0]:,}x{shape[1]:,} cells, which is far too large for its "
            f"{n_units:,} units"
        )
