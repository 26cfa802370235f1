"""The geometry of a sheet: its shape, and the distances between its cells."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError


def square_shape(width: int) -> tuple[int, int]:
    """Return the (height, width) of the square sheet that `width` units fill.

    Args:
        width: Number of units of a tap.

    Raises:
        UserError: `width` is not a square number. The message names the nearest square numbers, and a rectangular sheet
            that holds all units.
    """
    side = math.isqrt(width)
    if side * side == width and side > 0:
        return side, side
    rows = next(rows for rows in range(max(side, 1), 0, -1) if width % rows == 0)
    raise UserError(
        f"{width} units do not fill a square sheet: use a width like {side**2} ({side}x{side}) or "
        f"{(side + 1) ** 2} ({side + 1}x{side + 1}), or give the shape of the sheet, e.g. {rows}x{width // rows}"
    )


def distances(coordinates: Int[np.ndarray, "units 2"], metric: str) -> Float[np.ndarray, "units units"]:
    """Return the distance between each two places, in cells.

    Args:
        coordinates: Row and column of each unit.
        metric: `"chebyshev"`: the larger of the difference in rows and the difference in columns (the l-infinity
            distance of the TopoLM paper). `"euclidean"`: the straight-line distance (TopoLM's published code).

    Raises:
        UserError: `metric` is neither `"chebyshev"` nor `"euclidean"`.
    """
    steps = np.abs(coordinates[:, None, :] - coordinates[None, :, :]).astype(np.float64)
    if metric == "chebyshev":
        return steps.max(axis=-1)
    if metric == "euclidean":
        return np.sqrt((steps**2).sum(axis=-1))
    raise UserError(f"metric is {metric!r}: it must be 'chebyshev' or 'euclidean'")
