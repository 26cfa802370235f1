"""Figure of accuracies in groups of items, with intervals."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toposheet.figures.style import HEIGHT, MUTED, STYLE, TINY, WIDTH, broken, colour, key, keys_below


def accuracies(table: pd.DataFrame, title: str, *, value: str = "accuracy", line: str = "chance") -> Figure:
    """Return a figure of the accuracy of one or several models in each group, with 95 % intervals and the chance level.

    Args:
        table: The rows to show: `model, level, group, accuracy, low, high, chance`. Groups are drawn in the order of
            the rows; the group `*` is called `all`.
        title: Title of the axes.
        value: Name of what is drawn, for the axis.
        line: Name of the dashed line.
    """
    models = list(dict.fromkeys(table["model"]))
    groups = list(dict.fromkeys(zip(table["level"], table["group"], strict=True)))
    step = 0.6 / len(models)
    with mpl.rc_context(STYLE):
        height = (0.14 * max(1, len(models)) + 0.06) * len(groups) + 0.8
        figure = Figure(figsize=(WIDTH * 0.6, min(HEIGHT, height)), layout="constrained")
        axes = figure.subplots()
        at = np.arange(len(groups))
        for n, model in enumerate(models):
            rows = table[table["model"] == model].set_index(["level", "group"]).reindex(groups)
            error = np.stack([rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]).clip(0)
            y = at + step * (n - (len(models) - 1) / 2)
            axes.errorbar(rows["accuracy"], y, xerr=error, fmt="o", ms=3, lw=1.2, color=colour(n))
        chance = table.drop_duplicates(["level", "group"])["chance"]
        axes.vlines(chance, at - 0.5, at + 0.5, color=MUTED, lw=0.8, linestyles="dashed", zorder=0)
        levels = [level for level, _ in groups]
        for n in range(1, len(groups)):
            if levels[n] != levels[n - 1]:
                axes.axhline(n - 0.5, color=MUTED, lw=0.4)
        names = ["all" if group == "*" else broken(group.replace("_", " "), 40, 1) for _, group in groups]
        axes.set_yticks(at, names, fontsize=TINY if len(groups) > 30 else None)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(min(0.0, table["low"].min()), 1)
        axes.set_xlabel(value)
        axes.set_title(title)
        keys = [Line2D([], [], color=colour(n), marker="o", ms=3, label=key(name)) for n, name in enumerate(models)]
        keys_below(figure, [*keys, Line2D([], [], color=MUTED, lw=0.8, ls="dashed", label=line)])
        return figure
