"""The windows (neighborhoods) of a sheet, within which an objective compares units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError
from toposheet.sheet.grid import distances
from toposheet.sheet.sheet import Sheet, lay_out


@dataclass(frozen=True, eq=False)
class Neighborhoods:
    """All windows of a sheet, as a table of units.

    Args:
        units: The number of the unit in each cell of each window, or -1 if the cell is a hole. Units are numbered tap
            after tap, in the order of `Sheet.coordinates`. Where cells are shared, or windows are stored, the columns
            are not cells but the units of a window in any order.
        nearness: d = 1 / (1 + distance) between each two cells of a window, with the distance in cells. If windows are
            squares and no units share a cell, all windows have the same nearness.
        shape: Height and width of a window, in cells. None: the windows are no squares, or units share cells.
    """

    units: Int[np.ndarray, "windows cells"]
    nearness: Float[np.ndarray, "*windows cells cells"]
    shape: tuple[int, int] | None

    @classmethod
    def of(
        cls,
        sheet: Sheet,
        radius: int,
        metric: str = "chebyshev",
        window: str = "open",
    ) -> Neighborhoods:
        """Return all windows that lie completely on a sheet, or the windows that are stored with the sheet.

        Stored windows do not depend on `radius` and `window`. A side of the window that is longer than the sheet is
        shortened to the sheet. Windows with fewer than 3 units are left out, because a correlation over pairs of units
        needs at least 3 units.

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
        height, width = window_shape(sheet.shape, radius, window)
        coordinates, one_in_each = sheet.coordinates, sheet.windows is None and sheet.n_occupied == sheet.n_units
        if sheet.windows is not None:
            units = sheet.windows
        elif one_in_each:
            unit_at = lay_out(np.arange(len(coordinates), dtype=float), coordinates, sheet.shape)
            unit_at = np.nan_to_num(unit_at, nan=-1).astype(np.int64)
            units = np.lib.stride_tricks.sliding_window_view(unit_at, (height, width)).reshape(-1, height * width)
        else:
            units = _units_in_squares(coordinates, sheet.shape, (height, width))
        units = units[(units >= 0).sum(axis=1) >= 3]
        if len(units) == 0:
            raise UserError(
                f"no window of radius {radius} ({window}) on the {sheet.shape[0]}x{sheet.shape[1]} sheet has at least "
                "3 units: use a smaller sheet or a larger radius"
            )
        if one_in_each:
            return cls(units, nearness_in((height, width), metric), (height, width))
        return cls(units, _nearness_of_units(units, coordinates, metric), None)


def _units_in_squares(
    coordinates: Int[np.ndarray, "units 2"], shape: tuple[int, int], window: tuple[int, int]
) -> Int[np.ndarray, "windows _"]:
    """Return the units of each square window of a sheet on which units share cells; -1 where a window has fewer.

    Args:
        coordinates: Row and column of each unit.
        shape: Height and width of the sheet, in cells.
        window: Height and width of a window, in cells.
    """
    (y, x), windows = coordinates.T, []
    for top in range(shape[0] - window[0] + 1):
        in_rows = np.flatnonzero((y >= top) & (y < top + window[0]))
        for left in range(shape[1] - window[1] + 1):
            windows.append(in_rows[(x[in_rows] >= left) & (x[in_rows] < left + window[1])])
    return table_of_windows(windows)


def window_shape(shape: tuple[int, int], radius: int, window: str) -> tuple[int, int]:
    """Return the height and width of the windows of a sheet, in cells.

    Args:
        shape: Height and width of the sheet, in cells.
        radius: Radius of a window, in cells.
        window: `"open"` or `"closed"`, see `Neighborhoods.of`.
    """
    side = 2 * radius - 1 if window == "open" else 2 * radius + 1
    return min(side, shape[0]), min(side, shape[1])


def table_of_windows(windows: Sequence[Int[np.ndarray, " _"]]) -> Int[np.ndarray, "windows _"]:
    """Return the units of windows as a table, a row for each window; -1 where a window has fewer units than others.

    Args:
        windows: The numbers of the units of each window.
    """
    table = np.full((len(windows), max(map(len, windows))), -1)
    for row, units in zip(table, windows, strict=True):
        row[: len(units)] = units
    return table


def _nearness_of_units(
    windows: Int[np.ndarray, "windows cells"], coordinates: Int[np.ndarray, "units 2"], metric: str
) -> Float[np.ndarray, "windows cells cells"]:
    """Return the nearness of each two units of each window. It is 1 for two units that share a cell.

    Args:
        windows: The units of each window, or -1.
        coordinates: Row and column of each unit.
        metric: Distance between two cells, see `distances`.
    """
    return np.stack([1.0 / (1.0 + distances(coordinates[units], metric)) for units in windows]).astype(np.float32)


def nearness_in(shape: tuple[int, int], metric: str) -> Float[np.ndarray, "cells cells"]:
    """Return d = 1 / (1 + distance) between each two cells of a window, with the distance in cells.

    Args:
        shape: Height and width of the window, in cells.
        metric: Distance between two cells, see `distances`.
    """
    cells = np.stack(np.divmod(np.arange(shape[0] * shape[1]), shape[1]), axis=1)
    return 1.0 / (1.0 + distances(cells, metric))
