"""Figure of the frontier: task loss against topography, for methods of different strength."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from toposheet.figures.style import MUTED, STYLE, TINY, WIDTH, broken, colour, key, keys_below

_MARKERS, _OF_CONTROLS = "os^Dv<h", "XP"
_MARK: Any = {"ls": "", "ms": 5, "mew": 0.9}
_SEED: Any = {"ls": "", "ms": 2.8, "mew": 0.6}
_HALO = [Stroke(linewidth=1.5, foreground="white"), Normal()]  # otherwise lines hide the numbers


def frontier_curves(table: pd.DataFrame, statistics: Mapping[str, str], ordered_p: float) -> Figure:
    """Return a figure of the task loss and the topography of trained models, with a panel for each statistic.

    Each model has a mark, which is filled if its effect is ordered. If several models differ in their seed alone, their
    marks are small, and a large mark is at their mean, with bars for the range over seeds. The mark of a mean is filled
    if the effect is ordered in all its models. A line joins the marks of one method in the order of strength, and a
    number is the strength. Controls are grey, and a dotted line is at their mean task loss.

    Args:
        table: The rows of one contrast and of one kind of taps in the table of `report.frontier.frontier`.
        statistics: The statistics to show: {column of the table: title of the panel}.
        ordered_p: The largest p of an ordered effect.
    """
    styles = _styles(table)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        panels = figure.subplots(1, len(statistics), squeeze=False)[0]
        for axes, (statistic, title) in zip(panels, statistics.items(), strict=True):
            for (method, setting), style in styles.items():
                rows = table[(table["method"] == method) & (table["setting"] == setting)]
                _draw(axes, rows.assign(value=rows[statistic], filled=rows["p"] <= ordered_p), style)
            axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
            axes.set(title=title, xlabel="task loss on held-out text (nats per token; lower is better)")
            axes.margins(0.1)
        panels[0].set_ylabel(broken(f"raw map of {table['contrast'].iloc[0]}", 40, 2))
        keys = [
            Line2D([], [], **_MARK, **style, label=key(f"{method} ({setting})" if setting else method))
            for (method, setting), style in styles.items()
        ]
        fills = {MUTED: f"effect ordered (p ≤ {ordered_p:g})", "none": "not shown to be ordered"}
        keys += [
            Line2D([], [], **_MARK, marker="o", color=MUTED, mfc=fill, label=label) for fill, label in fills.items()
        ]
        if len(table) > len(table.groupby(["method", "setting", "strength"])):
            keys.append(Line2D([], [], **_SEED, marker="o", color=MUTED, alpha=0.6, label="one seed (bars: range)"))
        keys.append(Line2D([], [], ls="", label="number: alpha, or radius of a mechanism"))
        keys_below(figure, keys)
        return figure


def _styles(table: pd.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return colour and marker of each method and setting: {(method, setting): style}. Controls are grey."""
    shades = itertools.cycle([colour(n) for n in (0, 2, 3, 4, 5)])
    markers, of_controls = itertools.cycle(_MARKERS), itertools.cycle(_OF_CONTROLS)
    styles = {}
    for name, is_control in table.groupby(["method", "setting"], sort=False)["is_control"].all().items():
        shade, marker = (colour(1), next(of_controls)) if is_control else (next(shades), next(markers))
        styles[name] = {"color": shade, "marker": marker}
    return styles


def _draw(axes: Axes, rows: pd.DataFrame, style: Mapping[str, Any]) -> None:
    """Draw the models of one method and setting.

    Args:
        axes: The axes.
        rows: A row for each model: its `strength`, its `task_loss`, its `value` on the vertical axis, and whether its
            mark is `filled`.
        style: Colour and marker.
    """
    shade = style["color"]
    points = rows.groupby("strength").agg(x=("task_loss", "mean"), y=("value", "mean"), filled=("filled", "all"))
    axes.plot(points["x"], points["y"], color=shade, lw=1.0, alpha=0.6, zorder=1)
    for strength, (x, y, filled) in zip(points.index, points.to_numpy(), strict=True):
        models = rows[rows["strength"] == strength]
        axes.plot(x, y, **_MARK, **style, mfc=shade if filled else "white", zorder=3)
        if len(models) > 1:
            low, high = (models[["task_loss", "value"]].agg(end) for end in ("min", "max"))
            axes.hlines(y, low["task_loss"], high["task_loss"], color=shade, lw=0.9, zorder=2)
            axes.vlines(x, low["value"], high["value"], color=shade, lw=0.9, zorder=2)
            for _, model in models.iterrows():
                fill = shade if model["filled"] else "white"
                axes.plot(model["task_loss"], model["value"], **_SEED, **style, mfc=fill, alpha=0.6, zorder=2)
        if not rows["is_control"].all():
            axes.annotate(f"{strength:g}", (x, y), xytext=(0, 5), textcoords="offset points", ha="center",
                          fontsize=TINY, color=shade, path_effects=_HALO, zorder=4)  # fmt: skip
        else:
            axes.axvline(x, color=MUTED, ls=":", lw=0.8, zorder=0)
