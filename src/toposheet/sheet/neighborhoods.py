"""The windows in which the correlation objective looks at a sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError
from toposheet.sheet.grid import distances
from toposheet.sheet.sheet import Sheet, lay_out


@dataclass(frozen=True, eq=False)
class Neighborhoods:
    """Every square window of a sheet, as a table of units.

    Args:
        units: For each window and each of its cells, the index of the unit there (tap after tap, in the
            order of `Sheet.coordinates`), or -1 for a hole.
        nearness: d = 1 / (1 + distance) between every two cells of a window, distance in cells.
    """

    units: Int[np.ndarray, "windows cells"]
    nearness: Float[np.ndarray, "cells cells"]

    @classmethod
    def of(
        cls,
        sheet: Sheet,
        radius: int,
        metric: str = "chebyshev",
        window: str = "open",
    ) -> Neighborhoods:
        """Return all windows of l-infinity `radius` that lie on the sheet.

        `window="open"` counts cells at a distance below the radius, a square of side 2r-1, as TopoLM's
        published code does; `"closed"` counts cells up to the radius, side 2r+1, as its paper reads. A
        side longer than the sheet is cut to the sheet. Windows with fewer than 3 units, which have no
        correlation between pairs, are left out.

        Raises:
            UserError: the radius is below 1, `window` is unknown, or no window has 3 units.
        """
        if radius < 1:
            raise UserError(f"radius is {radius}: it must be at least 1 cell")
        if window not in ("open", "closed"):
            raise UserError(f"window is {window!r}: it must be 'open' or 'closed'")
        side = 2 * radius - 1 if window == "open" else 2 * radius + 1
        height, width = (min(side, cells) for cells in sheet.shape)
        coordinates = sheet.coordinates
        unit_at = lay_out(np.arange(len(coordinates), dtype=float), coordinates, sheet.shape)
        unit_at = np.nan_to_num(unit_at, nan=-1).astype(np.int64)
        units = np.lib.stride_tricks.sliding_window_view(unit_at, (height, width)).reshape(-1, height * width)
        units = units[(units >= 0).sum(axis=1) >= 3]
        if len(units) == 0:
            raise UserError(
                f"no window of radius {radius} ({window}) on a {sheet.shape[0]}x{sheet.shape[1]} sheet holds "
                "3 units: use a larger radius"
            )
        cells = np.stack(np.divmod(np.arange(height * width), width), axis=1)
        return cls(units=units, nearness=1.0 / (1.0 + distances(cells, metric)))
