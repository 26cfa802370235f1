"""Figure of the effects of interventions on regions, beside those on control regions."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposheet.figures.style import HEIGHT, MUTED, STYLE, WIDTH, broken, colour, keys_below


def effects_figure(table: pd.DataFrame) -> Figure:
    """Return a figure of how much acting on regions and on their controls changes a measure.

    Args:
        table: The rows of one part of a measure: `model, measure, unit, part, region, control, act, change, change_low,
            change_high, null_mean, null_sd`. Rows without a control are the regions.
    """
    regions = list(dict.fromkeys(table["region"]))
    with mpl.rc_context(STYLE):
        height = 0.16 * len(table) + 0.35 * len(regions) + 1.0
        figure = Figure(figsize=(WIDTH * 0.7, min(HEIGHT, height)), layout="constrained")
        sizes = [int((table["region"] == region).sum()) for region in regions]
        panels = figure.subplots(len(regions), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": sizes})
        for axes, region in zip(panels[:, 0], regions, strict=True):
            rows = table[table["region"] == region].reset_index(drop=True)
            for at, row in rows.iterrows():
                if np.isfinite(row["null_sd"]):
                    low, high = row["null_mean"] - 2 * row["null_sd"], row["null_mean"] + 2 * row["null_sd"]
                    axes.barh(at, high - low, left=low, height=0.6, color=MUTED, alpha=0.35, lw=0)
                error = np.array([[row["change"] - row["change_low"]], [row["change_high"] - row["change"]]])
                shade = colour(0) if row["control"] == "" else colour(1)
                axes.errorbar(row["change"], at, xerr=error, fmt="o", ms=3, lw=1.2, color=shade)
            axes.use_sticky_edges = False  # bars also get a margin
            axes.axvline(0, color=MUTED, lw=0.6)
            axes.set_yticks(range(len(rows)), [broken(name or "the region", 30, 1) for name in rows["control"]])
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_title(broken(region, 70, 2), loc="left")
        first = table.iloc[0]
        part = "" if first["part"] == "all" else f", {first['part']}"
        unit = " (nats)" if first["unit"] == "nats" else ""
        panels[-1, 0].set_xlabel(broken(f"change of {first['measure']}{part}{unit}", 60, 2))
        figure.suptitle(broken(f"{first['model']}: {first['act']} − intact", 70, 2), fontsize=9, x=0.02, ha="left")
        keys = [Line2D([], [], color=colour(0), marker="o", ms=3, label="the region, 95 % over items"),
                Line2D([], [], color=colour(1), marker="o", ms=3, label="controls, 95 % over items"),
                Patch(color=MUTED, alpha=0.35, lw=0, label="mean ± 2 sd of the draws")]  # fmt: skip
        keys_below(figure, keys)
        return figure
