"""What happens while a model learns, update by update."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.style import COLOURS, MUTED, STYLE

_SMOOTHED = 25  # updates


def loss_curves(metrics: Mapping[str, pd.DataFrame], bigram_loss: float | None) -> Figure:
    """Return the task loss and the spatial loss of training runs, with the bigram model's task loss."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        task, spatial = figure.subplots(1, 2)
        for colour, (name, table) in zip(COLOURS, metrics.items(), strict=False):
            for axes, column in ((task, "task_loss"), (spatial, "spatial_loss")):
                if column in table:
                    updates = table.dropna(subset=[column])
                    at = updates["update"].to_numpy()
                    kept = len(at) / float(np.ptp(at) + 1) if len(at) else 1.0  # shipped models keep 1 in 50
                    smooth = updates[column].rolling(max(1, round(kept * _SMOOTHED)), min_periods=1).mean()
                    axes.plot(updates["update"], smooth, color=colour, alpha=0.4, lw=1)
                validated = table.dropna(subset=[f"validation_{column}"])
                axes.plot(
                    validated["update"],
                    validated[f"validation_{column}"],
                    "o-",
                    color=colour,
                    ms=3,
                    label=name,
                )
        if bigram_loss is not None:
            task.axhline(bigram_loss, color=MUTED, ls=":", lw=1.2)
            task.annotate("bigram model", (1, bigram_loss), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                          color=MUTED, fontsize=8)  # fmt: skip
        spatial.axhline(0.5, color=MUTED, ls=":", lw=1.2)
        spatial.annotate("no topography", (1, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                         xytext=(0, 2), textcoords="offset points", color=MUTED, fontsize=8)  # fmt: skip
        spatial.set_ylim(0, 0.6)
        task.set(title="Task loss", xlabel="update", ylabel="cross-entropy (nats a token)")
        spatial.set(title="Spatial loss, mean over taps", xlabel="update", ylabel="(1 − corr(r, d)) / 2")
        task.legend(title="held-out (dots), training (faint)", title_fontsize=8)
        return figure


def trajectory(snapshots: Mapping[str, pd.DataFrame]) -> Figure:
    """Return how topography appeared: Moran's I, its cross-half value and the units significant, update by update.

    Args:
        snapshots: The snapshots of each run (`train.snapshots.read_snapshots`). Lines are medians over taps, the band
            is the place-null of Moran's I, mean ± 2 sd.
    """
    panels = {
        "morans_i": "Moran's I",
        "cross_half_i": "Cross-half Moran's I",
        "significant_fraction": "Units significant (q < 0.05)",
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.9), layout="constrained")
        grid = dict(zip(panels, figure.subplots(1, len(panels)), strict=True))
        for colour, (name, table) in zip(COLOURS, snapshots.items(), strict=False):
            medians = table.groupby("update")[[*panels, "null_mean", "null_sd"]].median()
            for column, axes in grid.items():
                axes.plot(medians.index, medians[column], "o-", color=colour, ms=3, label=name)
            low, high = (medians["null_mean"] + sign * 2 * medians["null_sd"] for sign in (-1, 1))
            label = "place-null of a tap ± 2 sd" if name == next(iter(snapshots)) else None
            grid["morans_i"].fill_between(medians.index, low, high, color=MUTED, alpha=0.2, lw=0, label=label)
        last = max(table["update"].max() for table in snapshots.values())
        for column, axes in grid.items():
            lowest = -0.05 if column == "significant_fraction" else -0.5
            axes.set(title=panels[column], xlabel="update (log, but for 0)", ylim=(lowest, 1.05))
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xlim(-0.3, 1.3 * last)
            axes.axhline(0, color=MUTED, lw=0.6)
        grid["morans_i"].legend(fontsize=8, loc="upper left")
        return figure


def correlation_curves(table: pd.DataFrame) -> Figure:
    """Return r(d), the mean correlation of two units by their distance, of models against their place-null.

    Args:
        table: Rows of `correlation_curve` of one or more models, with a column `model`; means over taps are shown.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.subplots()
        for colour, (name, rows) in zip(COLOURS, table.groupby("model", sort=False), strict=False):
            of_distance = rows.groupby("distance_mm")
            means = of_distance[["r", "null_mean"]].mean()
            # The places of taps are shuffled independently: the variance of their mean is the mean variance over n.
            variance = of_distance["null_sd"].agg(lambda sd: (sd**2).mean() / len(sd))
            means["null_sd"] = np.sqrt(variance)
            axes.plot(means.index, means["r"], "o-", color=colour, ms=2.5, label=name)
            low, high = (means["null_mean"] + sign * 2 * means["null_sd"] for sign in (-1, 1))
            axes.fill_between(means.index, low, high, color=colour, alpha=0.2, lw=0)
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.set(xlabel="distance on the sheet (mm)", ylabel="mean correlation of two units")
        axes.legend(title="bands: place-null ± 2 sd", title_fontsize=8, fontsize=8)
        return figure
