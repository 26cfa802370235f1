"""Figure of a searchlight: the sheets, with the change by acting on the disc at each place."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.figures.sheets import LEFT, cell_size, draw_scale, draw_sheets, lines_of, size_of, symmetric, write
from toposheet.figures.style import HEIGHT, SMALL, STYLE, TINY, WIDTH, broken

_LAYERS = 16  # most layers in a line
_TITLE, _LEGEND = 0.26, 0.26  # inches: title; the legend below it
_NAME, _GAP, _SCALE = 0.16, 0.1, 0.65  # inches: name of a part; space below its maps; colour bar, right of the maps


def searchlight_figure(table: pd.DataFrame) -> Figure:
    """Return a figure of a searchlight: a panel for each part of the measure, and in it all sheets.

    Each square stands for one disc, in the middle of the square. Discs that are significant are outlined. All panels
    share the colour scale.

    Args:
        table: A row for each part and disc: `model, measure, unit, part, act, sheet, y, x, radius_mm, draws, change,
            alternative, p_corrected`.
    """
    parts, sheets = list(dict.fromkeys(table["part"])), list(dict.fromkeys(table["sheet"]))
    maps = {(part, sheet): _grid(rows) for (part, sheet), rows in table.groupby(["part", "sheet"], sort=False)}
    ratios = [grid.sizes["x"] / grid.sizes["y"] for grid in maps.values()]
    lines = lines_of(sheets, _LAYERS, max(ratios) if max(ratios) >= 2 else 1.0)
    columns = next(n for n in (3, 2, 1) if n == 1 or n * (len(lines[0].sheets) + 1) <= _LAYERS)
    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    across = (WIDTH - _SCALE) / columns
    down = (HEIGHT - _TITLE - _LEGEND) / rows - _NAME - _GAP
    cell = cell_size(lines, across, down)
    width, height = size_of(lines, cell)
    first = table.iloc[0]
    norm = symmetric(table["change"].to_numpy())
    panel = max(width, 1.6)
    full = max(columns * panel + _SCALE, 3.6)
    legend = "each square: one disc; "
    if first["draws"]:
        outlined = "outlined:" if (table["p_corrected"] < 0.05).any() else "none is"
        side = {"less": "lower than", "greater": "higher than", "two-sided": "other than"}[first["alternative"]]
        legend += f"{outlined} {side} as many scattered units (p < 0.05 with {first['draws']} draws, corrected for all "
        legend += "discs and parts)"
    else:
        legend += "not tested against scattered units"
    legend = broken(legend, int(19 * full), 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(full, _TITLE + _LEGEND + rows * (_NAME + height + _GAP)))
        title = f"{first['model']}, {first['measure']}: {first['act']}, discs of {first['radius_mm']:g} mm"
        write(figure, 0.06, 0.06, broken(title, int(12 * full), 1), fontsize=9)
        write(figure, 0.06, _TITLE, legend, fontsize=TINY)
        for number, part in enumerate(parts):
            left = (number % columns) * panel
            top = _TITLE + _LEGEND + (number // columns) * (_NAME + height + _GAP)
            write(figure, left + LEFT, top, broken(part, int(14 * panel), 1), fontweight="bold", fontsize=SMALL)
            grids = {sheet: maps[part, sheet]["change"] for sheet in sheets}
            found = {sheet: maps[part, sheet]["found"] for sheet in sheets}
            draw_sheets(figure, lines, grids, found, norm, cell, left, top + _NAME, fades=False)
        middle = _TITLE + _LEGEND
        label = "change (nats)" if first["unit"] == "nats" else "change"
        draw_scale(figure, norm, label, columns * panel + 0.08, middle, _NAME + height)
        return figure


def _grid(rows: pd.DataFrame) -> xr.Dataset:
    """Return the changes by the discs of a sheet as a map (y, x), and which are significant: a number for each disc.

    A place without a disc (a hole) is nan.
    """
    ys, xs = np.unique(rows["y"]), np.unique(rows["x"])
    at = np.searchsorted(ys, rows["y"]), np.searchsorted(xs, rows["x"])
    change, found = np.full((len(ys), len(xs)), np.nan), np.zeros((len(ys), len(xs)))
    change[at] = rows["change"]
    found[at] = np.where(rows["p_corrected"] < 0.05, np.arange(1, 1 + len(rows)), 0)
    return xr.Dataset({"change": (("y", "x"), change), "found": (("y", "x"), found)})
