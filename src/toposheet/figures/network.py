"""A language network: where it is on the sheets, and how it responds."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from toposheet.figures.maps import draw_scale, draw_sheets, rows_of_sheets, symmetric
from toposheet.figures.style import COLOURS, INK, MUTED, STYLE


def language_network(
    t: xr.DataArray, clusters: Mapping[str, xr.DataArray], profiles: Mapping[str, pd.DataFrame], contrast: str
) -> Figure:
    """Return maps of the localizer with the outlines of its clusters, and the response profile beside them.

    Args:
        t: Welch's t over (model, sheet, y, x), raw.
        clusters: For each model the number of the cluster of every cell, over (sheet, y, x); 0 or nan for none.
        profiles: For each model the rows of `cortex.profiles`; no rows where there is no cluster.
        contrast: What the map compares, for the colour bar.
    """
    models, sheets = list(clusters), t["sheet"].values.tolist()
    rows = rows_of_sheets(sheets)
    columns = max(len(row) for row in rows.values())
    norm = symmetric(t.values)
    cell = min(1.05, 9.0 / columns)
    highest = max((float(table["high"].max()) for table in profiles.values() if len(table)), default=1.0)
    with mpl.rc_context(STYLE):
        width, height = cell * columns + 4.6, max(2.5, (cell + 0.2) * len(rows) + 0.7)
        figure = Figure(figsize=(width, height * len(models)), layout="constrained")
        parts = figure.subfigures(len(models), 1, squeeze=False)[:, 0]
        for model, part in zip(models, parts, strict=True):
            part.suptitle(model, fontsize=10, fontweight="bold", x=0.01, ha="left")
            left, bar, right = part.subfigures(1, 3, width_ratios=(cell * columns + 0.4, 0.9, 3.3), squeeze=False)[0]
            of_model = {sheet: t.sel(model=model, sheet=sheet) for sheet in sheets}
            for sheet, axes in draw_sheets(left, rows, of_model, norm).items():
                _outline(axes, clusters[model].sel(sheet=sheet))
            draw_scale(bar, norm, f"Welch's t, {contrast}")
            _profile(right.subplots(), profiles[model], highest)
        return figure


def localizer_map(t: Mapping[str, xr.DataArray], mask: Mapping[str, xr.DataArray], contrast: str) -> Figure:
    """Return the map of a localizer with the outlines of the units that it selects.

    Args:
        t: Welch's t on each sheet, {sheet: (y, x)}.
        mask: 1 where a unit is selected, on the same sheets.
        contrast: What is compared.
    """
    rows = rows_of_sheets(list(t))
    columns = max(len(row) for row in rows.values())
    norm = symmetric(np.concatenate([grid.values.ravel() for grid in t.values()]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.05 * columns + 1.8, 1.25 * len(rows) + 0.6), layout="constrained")
        main, side = figure.subfigures(1, 2, width_ratios=(1.05 * columns + 0.9, 0.9), squeeze=False)[0]
        for sheet, axes in draw_sheets(main, rows, t, norm).items():
            _outline(axes, mask[sheet])
        draw_scale(side, norm, f"Welch's t, {contrast}")
        return figure


def _profile(axes: Axes, table: pd.DataFrame, highest: float) -> None:
    axes.set_ylabel("mean |response| (95 % CI)")
    if table.empty:
        axes.set(xticks=[], yticks=[])
        axes.annotate("no cluster of 10 units", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
        return
    conditions = sorted(dict.fromkeys(table["condition"]), key=lambda c: "SWJN".find(c) % 5)  # others last
    at = np.arange(len(conditions))
    of_clusters = table[table["cluster"] != "network"]
    for _, rows in of_clusters.groupby("cluster", sort=False):
        axes.plot(at, rows.set_index("condition").loc[conditions, "response"], color=MUTED, lw=0.7, alpha=0.5, zorder=3)
    whole = table[table["cluster"] == "network"].set_index("condition").loc[conditions]
    error = np.stack([whole["response"] - whole["low"], whole["high"] - whole["response"]])
    axes.bar(at, whole["response"], 0.65, color=COLOURS[0], alpha=0.75, yerr=error, error_kw={"lw": 1.2, "ecolor": INK})
    n_clusters = of_clusters["cluster"].nunique()
    plural = "s" * (n_clusters != 1)
    network = f"network of {int(whole['n_units'].iloc[0])} units (bars),"
    axes.set_title(f"{network}\nits {n_clusters} cluster{plural} (lines)", fontsize=8)
    names = {"S": "sentences", "W": "word\nlists", "J": "Jabber-\nwocky", "N": "non-words"}
    axes.set_xticks(at, [names.get(str(c), str(c)) for c in conditions], fontsize=8)
    axes.set_ylim(0, 1.15 * highest)


def _outline(axes: Axes, groups: xr.DataArray) -> None:
    """Draw the edges between cells of different groups; nan is none."""
    padded = np.pad(np.nan_to_num(groups.values), 1)
    down = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])  # an edge above row y
    across = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    edges = [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in down]
    edges += [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in across]
    axes.add_collection(LineCollection(edges, colors=INK, linewidths=0.9, clip_on=False))
