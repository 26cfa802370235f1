"""The geometry of a sheet: its shape and the distances between its cells."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError


def square_shape(width: int) -> tuple[int, int]:
    """Return the (height, width) of the square sheet that `width` units fill.

    Raises:
        UserError: `width` is no square number; the message names the nearest widths that are, and a
            rectangle that would hold all units.
    """
    side = math.isqrt(width)
    if side * side == width and side > 0:
        return side, side
    rows = next(rows for rows in range(max(side, 1), 0, -1) if width % rows == 0)
    raise UserError(
        f"{width} units do not fill a square sheet: use a width like {side**2} ({side}x{side}) or "
        f"{(side + 1) ** 2} ({side + 1}x{side + 1}), or name the shape, e.g. {rows}x{width // rows}"
    )


def distances(coordinates: Int[np.ndarray, "units 2"], metric: str) -> Float[np.ndarray, "units units"]:
    """Return the distance between every two places, in cells.

    Args:
        coordinates: Row and column of each unit.
        metric: `"chebyshev"`, the l-infinity distance of the TopoLM paper, or `"euclidean"`, that of its
            published code.

    Raises:
        UserError: the metric is neither.
    """
    steps = np.abs(coordinates[:, None, :] - coordinates[None, :, :]).astype(np.float64)
    if metric == "chebyshev":
        return steps.max(axis=-1)
    if metric == "euclidean":
        return np.sqrt((steps**2).sum(axis=-1))
    raise UserError(f"metric is {metric!r}: it must be 'chebyshev' or 'euclidean'")
