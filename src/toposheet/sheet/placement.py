"""Where the units of a tap sit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from toposheet.errors import UserError


def random_places(n_units: int, shape: tuple[int, int], rng: np.random.Generator) -> Int[np.ndarray, "units 2"]:
    """Return a random place for each unit, no two in the same cell (TopoLM, arXiv:2410.11516).

    Args:
        n_units: How many units are placed.
        shape: Height and width of the sheet in cells. A sheet with more cells than units keeps holes.
        rng: Source of the randomness.

    Raises:
        UserError: the sheet has fewer cells than there are units; the message says how many it holds.
    """
    height, width = shape
    cells = height * width
    if cells < n_units:
        raise UserError(
            f"a {height}x{width} sheet has {cells} cells but the tap has {n_units} units: "
            f"use a width of at most {cells} or a larger sheet"
        )
    cell = rng.permutation(cells)[:n_units]
    return np.stack([cell // width, cell % width], axis=1)
