"""The windows (neighborhoods) of a sheet, within which an objective compares units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError
from toposheet.sheet.grid import distances
from toposheet.sheet.sheet import Sheet, lay_out


@dataclass(frozen=True, eq=False)
class Neighborhoods:
    """All square windows of a sheet, as a table of units.

    Args:
        units: The number of the unit in each cell of each window, or -1 if the cell is a hole. Units are numbered tap
            after tap, in the order of `Sheet.coordinates`.
        nearness: d = 1 / (1 + distance) between each two cells of a window, with the distance in cells.
        shape: Height and width of a window, in cells.
    """

    units: Int[np.ndarray, "windows cells"]
    nearness: Float[np.ndarray, "cells cells"]
    shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        sheet: Sheet,
        radius: int,
        metric: str = "chebyshev",
        window: str = "open",
    ) -> Neighborhoods:
        """Return all windows that lie completely on a sheet.

        A side of the window that is longer than the sheet is shortened to the sheet. Windows with fewer than 3 units
        are left out, because a correlation over pairs of units needs at least 3 units.

        Args:
            sheet: The sheet.
            radius: Distance from the centre of a window to its edge, in cells.
            metric: Distance between two cells, see `distances`.
            window: `"open"`: a window has the cells at a distance below the radius from its centre, a square of side 2
                radius - 1 (TopoLM's published code). `"closed"`: a window has the cells at a distance up to the radius,
                a square of side 2 radius + 1 (the text of the TopoLM paper).

        Raises:
            UserError: The radius is less than 1, an option is unknown, or no window has 3 units.
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
                f"no window of radius {radius} ({window}) on the {sheet.shape[0]}x{sheet.shape[1]} sheet has at least "
                "3 units: use a smaller sheet or a larger radius"
            )
        return cls(units, nearness_in((height, width), metric), (height, width))


def nearness_in(shape: tuple[int, int], metric: str) -> Float[np.ndarray, "cells cells"]:
    """Return d = 1 / (1 + distance) between each two cells of a window, with the distance in cells.

    Args:
        shape: Height and width of the window, in cells.
        metric: Distance between two cells, see `distances`.
    """
    cells = np.stack(np.divmod(np.arange(shape[0] * shape[1]), shape[1]), axis=1)
    return 1.0 / (1.0 + distances(cells, metric))
