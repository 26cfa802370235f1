"""Random places for the units of a tap."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from toposheet.errors import UserError
from toposheet.sheet.grid import nearest_rectangle


def random_places(n_units: int, shape: tuple[int, int], rng: np.random.Generator) -> Int[np.ndarray, "units 2"]:
    """Return a random place (row, column) for each unit; no two units share a cell (TopoLM, arXiv:2410.11516).

    Args:
        n_units: Number of units.
        shape: Height and width of the sheet, in cells. If the sheet has more cells than units, the other cells stay
            empty (holes).
        rng: Generator of the random draws.

    Raises:
        UserError: The sheet has fewer cells than there are units. The message names a sheet that is large enough.
    """
    height, width = shape
    cells = height * width
    if cells < n_units:
        rows, columns = nearest_rectangle(n_units)
        raise UserError(
            f"a {height}x{width} sheet has {cells} cells but the tap has {n_units} units: "
            f"use a larger sheet, for example {rows}x{columns}"
        )
    cell = rng.permutation(cells)[:n_units]
    return np.stack([cell // width, cell % width], axis=1)
