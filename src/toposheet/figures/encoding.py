"""Figure of an encoding analysis: the score of the model in every tap, beside its baselines and the noise ceiling."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposheet.figures.style import HEIGHT, MUTED, PLACE, STYLE, WIDTH, broken, colour, key, keys_below

_ROW = 0.1  # inches: height of a mark


def encoding_scores(scores: pd.DataFrame, tests: pd.DataFrame, ceiling: float) -> Figure:
    """Return a figure with a group of marks for each tap: r of each set of features, and what the model adds in r2.

    Args:
        scores: The columns `tap, features, r, r_low, r_high`. The tap `*` is all taps together.
        tests: The columns `tap, quantity, value, low, high, null_mean, null_sd`. Only the quantity `unique_r2` is
            drawn, with its null.
        ceiling: The mean noise ceiling, drawn as a line. nan: no line.
    """
    taps, sets = list(dict.fromkeys(scores["tap"])), list(dict.fromkeys(scores["features"]))
    step = 1 / (len(sets) + 1)
    with mpl.rc_context(STYLE):
        height = min(HEIGHT, 0.9 + _ROW * len(taps) * (len(sets) + 1))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        for n, features in enumerate(sets):
            rows = scores[scores["features"] == features].set_index("tap").loc[taps]
            at = np.arange(len(taps)) + step * (n - (len(sets) - 1) / 2)
            _mark(left, rows["r"], rows["r_low"], rows["r_high"], at, colour(n))
        if np.isfinite(ceiling):
            left.axvline(ceiling, color=MUTED, ls="--", lw=0.8)
        rows = tests[tests["quantity"] == "unique_r2"].set_index("tap").loc[taps]
        at = np.arange(len(taps), dtype=float)
        mean, sd = rows["null_mean"], rows["null_sd"]
        right.hlines(at + 0.2, mean - 2 * sd, mean + 2 * sd, color=PLACE, lw=2.5, alpha=0.45)
        _mark(right, rows["value"], rows["low"], rows["high"], at, colour(0))
        for axes in (left, right):
            axes.axvline(0, color=MUTED, lw=0.6, zorder=0)
        left.set_yticks(at, ["all taps" if tap == "*" else broken(key(tap), 28) for tap in taps])
        left.set(ylim=(len(taps) - 0.5, -0.5), xlabel="r of prediction and recording, mean over voxels")
        right.set(xlabel="r2 that the model adds to its baselines")
        keys = [Line2D([], [], color=colour(n), marker="o", ms=3, label=key(name)) for n, name in enumerate(sets)]
        null = Patch(color=PLACE, alpha=0.45, lw=0, label="null ± 2 sd")
        ceilings = [Line2D([], [], color=MUTED, ls="--", lw=0.8, label="noise ceiling")] if np.isfinite(ceiling) else []
        keys_below(figure, [*keys, null, *ceilings])
        return figure


def _mark(axes: Axes, values: pd.Series, low: pd.Series, high: pd.Series, at: np.ndarray, shade: str) -> None:
    """Draw values as dots with their intervals."""
    axes.hlines(at, low, high, color=shade, lw=1)
    axes.plot(values, at, "o", color=shade, ms=3)
