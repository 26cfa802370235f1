"""Figures of curves: losses and topography during training, and correlation by distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposheet.figures.style import COLUMN, MUTED, SMALL, STYLE, WIDTH, colour, key, keys_below

_SMOOTHED = 25  # updates in the running mean of the training loss
_BAND: Any = {"alpha": 0.25, "lw": 0}
_DOTS: Any = {"ls": ":", "lw": 1.2}


def loss_curves(metrics: Mapping[str, pd.DataFrame], bigram_loss: float | None) -> Figure:
    """Return a figure of the task loss and the spatial loss during training.

    Args:
        metrics: The logged losses of each run: {name of the run: table}.
        bigram_loss: Task loss of a bigram model, drawn as a line. None: no line.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        task, spatial = figure.subplots(1, 2)
        for n, (name, table) in enumerate(metrics.items()):
            for axes, column in ((task, "task_loss"), (spatial, "spatial_loss")):
                if column in table:
                    updates = table.dropna(subset=[column])
                    at = updates["update"].to_numpy()
                    kept = (
                        len(at) / float(np.ptp(at) + 1) if len(at) else 1.0
                    )  # shipped models have only every 50th update
                    smooth = updates[column].rolling(max(1, round(kept * _SMOOTHED)), min_periods=1).mean()
                    axes.plot(updates["update"], smooth, color=colour(n), alpha=0.4, lw=1)
                validated = table.dropna(subset=[f"validation_{column}"])
                axes.plot(
                    validated["update"],
                    validated[f"validation_{column}"],
                    "o-",
                    color=colour(n),
                    ms=2.5,
                    label=key(name),
                )
        if bigram_loss is not None:
            task.axhline(bigram_loss, color=MUTED, ls=":", lw=1.2)
            task.annotate("bigram model", (1, bigram_loss), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                          color=MUTED, fontsize=SMALL)  # fmt: skip
        spatial.axhline(0.5, color=MUTED, ls=":", lw=1.2)
        spatial.annotate("random places", (1, 0.5), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                         xytext=(0, 2), textcoords="offset points", color=MUTED, fontsize=SMALL)  # fmt: skip
        spatial.set_ylim(0, 0.6)
        task.set(title="Task loss", xlabel="update", ylabel="cross-entropy (nats per token)")
        spatial.set(title="Spatial loss, mean over sheets", xlabel="update", ylabel="(1 − corr(r, d)) / 2")
        task.legend(title="held-out text (dots), training text (faint)", title_fontsize=SMALL)
        return figure


def trajectory(snapshots: Mapping[str, pd.DataFrame], q: float) -> Figure:
    """Return a figure of topography during training: Moran's I, cross-half I and the fraction of significant units.

    Args:
        snapshots: A table for each run, with a row for each update. Its columns are means over taps: `morans_i`;
            `null_mean` and `null_sd`, the place-null of the mean, drawn as a band of ± 2 sd; `label_null_mean`, drawn
            as a dotted line; `cross_half_i`; `significant_fraction`.
        q: The bound of the false discovery rate of significant units. It is written above their panel.
    """
    panels = {
        "morans_i": "Moran's I",
        "cross_half_i": "Cross-half I",
        "significant_fraction": f"Fraction of units with q < {q:g}",
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
        grid = dict(zip(panels, figure.subplots(1, len(panels)), strict=True))
        for n, (name, means) in enumerate(snapshots.items()):
            for column, axes in grid.items():
                axes.plot(means.index, means[column], "o-", color=colour(n), ms=2.5, label=key(name))
            _draw_band(grid["morans_i"], means, colour(n))
            grid["morans_i"].plot(means.index, means["label_null_mean"], **_DOTS, color=colour(n))
        last = max(means.index.max() for means in snapshots.values())
        decades = [0, *(10**n for n in range(0, 1 + int(np.log10(max(last, 1)))))]
        for column, axes in grid.items():
            axes.set(title=panels[column], xlabel="update (log scale)", ylim=(-0.3, 1.02))
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xticks(decades, [f"{update:,}" for update in decades])
            axes.minorticks_off()
            axes.set_xlim(-0.3, 1.5 * last)
            axes.axhline(0, color=MUTED, lw=0.6)
        grid["significant_fraction"].set_ylim(-0.02, 1.02)
        bands = Patch(**_BAND, color=MUTED, label="place-null of the mean over taps ± 2 sd (Moran's I)")
        handles = grid["morans_i"].get_legend_handles_labels()[0]
        dots = Line2D([], [], **_DOTS, color=MUTED, label="mean of the label-null (Moran's I)")
        keys_below(figure, [*handles, bands, dots])
        return figure


def correlation_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Return a figure of r(d): the mean correlation of two units against their distance, with the place-null.

    Args:
        curves: A table for each model, with a row for each distance (mm). Its columns are means over taps: `r`;
            `null_mean` and `null_sd`, the place-null of the mean, drawn as a band of ± 2 sd.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.9), layout="constrained")
        axes = figure.subplots()
        for n, (name, means) in enumerate(curves.items()):
            axes.plot(means.index, means["r"], "o-", color=colour(n), ms=2.5, label=key(name))
            _draw_band(axes, means, colour(n))
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.set(xlabel="distance on the sheet (mm)", ylabel="mean correlation of two units")
        bands = Patch(**_BAND, color=MUTED, label="band of each model: place-null of the mean ± 2 sd")
        axes.legend(handles=[*axes.get_legend_handles_labels()[0], bands])
        return figure


def _draw_band(axes: Axes, means: pd.DataFrame, shade: str) -> None:
    """Draw the place-null of the means as a band of ± 2 standard deviations."""
    low, high = (means["null_mean"] + sign * 2 * means["null_sd"] for sign in (-1, 1))
    axes.fill_between(means.index, low, high, color=shade, **_BAND)


def noise_curves(table: pd.DataFrame) -> Figure:
    """Return a figure of the autocorrelation of noise over distance: a panel for each contrast.

    Args:
        table: The columns `contrast, model, condition, distance_mm, autocorrelation`.
    """
    contrasts = list(dict.fromkeys(table["contrast"]))
    n_columns = min(4, len(contrasts))
    n_rows = -(-len(contrasts) // n_columns)
    models = list(dict.fromkeys(table["model"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.4 + 1.5 * n_rows), layout="constrained")
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, contrast in zip(panels, contrasts, strict=False):
            rows = table[table["contrast"] == contrast]
            conditions = list(dict.fromkeys(rows["condition"]))
            for n, model in enumerate(models):
                for style, condition in zip(("-", "--"), conditions, strict=False):
                    curve = rows[(rows["model"] == model) & (rows["condition"] == condition)]
                    axes.plot(curve["distance_mm"], curve["autocorrelation"], style, color=colour(n), lw=1.2)
            axes.axhline(0, color=MUTED, ls=":", lw=0.8)
            axes.set_title(key(contrast), fontsize=SMALL)
        for axes in panels[len(contrasts) :]:
            axes.set_axis_off()
        figure.supxlabel("distance (mm)", fontsize=SMALL)
        figure.supylabel("correlation of the noise", fontsize=SMALL)
        lines = [Line2D([], [], color=colour(n), label=key(model)) for n, model in enumerate(models)]
        panels[0].legend(handles=lines, fontsize=SMALL)
        return figure
