"""Figure of a language network: its place on the sheets and its responses. Also maps with outlined units."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposheet.figures.sheets import (
    cell_size,
    draw_scale,
    draw_sheets,
    lines_of,
    place,
    size_of,
    symmetric,
    write,
)
from toposheet.figures.style import HEIGHT, INK, MUTED, SMALL, STYLE, TINY, WIDTH, broken, colour
from toposheet.wording import counted

_LAYERS = 8  # most layers in a line
_HEADING, _SCALE, _PROFILE = 0.28, 0.9, 2.5  # inches: heading of a model, colour bar, profile
_NOTE = 0.2  # inches: a note above the maps


def network_figure(
    t: xr.DataArray,
    clusters: Mapping[str, xr.DataArray],
    profiles: Mapping[str, pd.DataFrame],
    contrast: str,
    whole: str,
) -> Figure:
    """Return a figure with the maps of the localizer and, beside them, the response profile of each model.

    The clusters are outlined. A map without a cluster is pale.

    Args:
        t: Welch's t over (model, sheet, y, x), raw. Sheets that a model does not have are nan.
        clusters: For each model the number of the cluster of each cell, over (sheet, y, x). 0 and nan mean that the
            cell is in no cluster.
        profiles: For each model the table of `cortex.profiles`. It is empty for a model without clusters.
        contrast: Name of the contrast, for the colour bar.
        whole: The value of `cluster` in the rows of the whole network.
    """
    models, norm = list(clusters), symmetric(t.values)
    maps = {name: _sheets(t.sel(model=name)) for name in models}
    lines = {name: lines_of(list(model_lines), _LAYERS) for name, model_lines in maps.items()}
    space = (WIDTH - _SCALE - _PROFILE, HEIGHT / len(models) - _HEADING)
    cell = min(cell_size(model_lines, *space) for model_lines in lines.values())
    sizes = {name: size_of(model_lines, cell) for name, model_lines in lines.items()}
    wide, heights = max(width for width, _ in sizes.values()), [max(2.2, height) for _, height in sizes.values()]
    drawn = [table["high"].where(table["cluster"] == whole, table["response"]) for table in profiles.values()]
    highest = max((float(values.max()) for values in drawn if len(values)), default=1.0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(wide + _SCALE + _PROFILE, sum(heights) + len(models) * _HEADING))
        top = 0.0
        for n, (name, height) in enumerate(zip(models, heights, strict=True)):
            write(figure, 0.06, top + 0.06, broken(name, 60, 1), fontweight="bold")
            top += _HEADING
            groups = {sheet: clusters[name].sel(sheet=sheet) for sheet in maps[name]}
            draw_sheets(figure, lines[name], maps[name], groups, norm, cell, 0.0, top)
            draw_scale(figure, norm, f"Welch's t, {contrast}", wide + 0.08, top, sizes[name][1])
            axes = place(figure, wide + _SCALE + 0.45, top + 0.3, _PROFILE - 0.5, 1.45)
            _profile(axes, profiles[name], whole, highest, colour(n))
            top += height
        return figure


def outlined_maps(t: Mapping[str, xr.DataArray], mask: Mapping[str, xr.DataArray], contrast: str, note: str) -> Figure:
    """Return a figure of maps of t, with outlines of a set of units and a note above the maps.

    Args:
        t: Welch's t on each sheet, {sheet: (y, x)}.
        mask: 1 for a unit inside the outlines, on the same sheets.
        contrast: Name of the contrast, for the colour bar.
        note: The note, for example the number of units inside the outlines.
    """
    lines = lines_of(list(t), 2 * _LAYERS)
    norm = symmetric(np.concatenate([grid.values.ravel() for grid in t.values()]))
    cell = cell_size(lines, WIDTH - _SCALE, HEIGHT - _NOTE)
    wide, height = size_of(lines, cell)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(wide + _SCALE, _NOTE + height))
        write(figure, 0.06, 0.05, note, fontsize=SMALL)
        draw_sheets(figure, lines, t, mask, norm, cell, 0.0, _NOTE)
        draw_scale(figure, norm, f"Welch's t, {contrast}", wide + 0.08, _NOTE, height)
        return figure


def _sheets(t: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the map on each sheet of a model. Sheets that the model does not have are left out."""
    every = {sheet: t.sel(sheet=sheet) for sheet in t["sheet"].values.tolist()}
    return {sheet: grid for sheet, grid in every.items() if grid.notnull().any()}


def _profile(axes: Axes, table: pd.DataFrame, whole: str, highest: float, shade: str) -> None:
    axes.set_ylabel("mean |response| (95 % CI)", fontsize=SMALL)
    if table.empty:
        axes.set(xticks=[], yticks=[])
        axes.annotate("no cluster", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
        return
    conditions = sorted(dict.fromkeys(table["condition"]), key=lambda c: "SWJN".find(c) % 5)  # others last
    at = np.arange(len(conditions))
    cluster_rows = table[table["cluster"] != whole]
    for _, rows in cluster_rows.groupby("cluster", sort=False):
        axes.plot(at, rows.set_index("condition").loc[conditions, "response"], color=MUTED, lw=0.7, alpha=0.5, zorder=3)
    network = table[table["cluster"] == whole].set_index("condition").loc[conditions]
    error = np.stack([network["response"] - network["low"], network["high"] - network["response"]])
    axes.bar(at, network["response"], 0.65, color=shade, alpha=0.7, yerr=error,
             error_kw={"lw": 1.2, "ecolor": INK, "capsize": 2, "zorder": 4})  # fmt: skip
    n_clusters = cluster_rows["cluster"].nunique()
    n_units = int(network["n_units"].iloc[0])
    title = f"network of {counted(n_units, 'unit')} (bars),\nits {counted(n_clusters, 'cluster')} (lines)"
    axes.set_title(title, fontsize=SMALL)
    names = {"S": "sentences", "W": "word\nlists", "J": "Jabber-\nwocky", "N": "non-words"}
    axes.set_xticks(at, [names.get(str(c), broken(str(c), 9)) for c in conditions], fontsize=TINY)
    axes.set_ylim(0, 1.08 * highest)
