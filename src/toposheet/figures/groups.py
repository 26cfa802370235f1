"""Figure of groups of models, with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from toposheet.figures.style import (
    HEIGHT,
    LABEL,
    MUTED,
    PLACE,
    SMALL,
    STYLE,
    TINY,
    WIDTH,
    broken,
    colour,
    key,
    keys_below,
)

_MOST_KEYS = 6  # groups that colours tell apart
_MARKS = "o^s"  # one for each negative control
_NULLS = (("null_mean", PLACE, "place"), ("label_null_mean", LABEL, "label"))


def group_intervals(
    table: pd.DataFrame, statistics: Mapping[str, str], negative_controls: Sequence[str] = ()
) -> Figure:
    """Return a figure of statistics of groups of models, for the raw map of each contrast.

    It shows the mean of each group with its 95 % interval over models, the means of the nulls, and the
    values of the negative controls. More than 6 groups have their names beside their rows, so that colours may repeat.

    Args:
        table: The rows of the raw maps in the table of `report.groups.group_statistics`.
        statistics: The statistics to show: {name of the statistic: title of its axes}.
        negative_controls: Names of the negative controls. Each has a different mark. A control without values is left
            out.
    """
    contrasts, groups = list(dict.fromkeys(table["contrast"])), list(dict.fromkeys(table["group"]))
    known = zip(negative_controls, itertools.cycle(_MARKS), strict=False)
    marks = {name: mark for name, mark in known if name in table and table[name].notna().any()}
    hollow = {"ls": "", "mfc": "none", "mew": 0.7, "ms": 4}
    at, step = np.arange(len(contrasts)), 0.7 / len(groups)
    offsets, named = step * (np.arange(len(groups)) - (len(groups) - 1) / 2), len(groups) > _MOST_KEYS
    with mpl.rc_context(STYLE):
        height = max(0.3, 0.13 * len(groups) + 0.08) * len(contrasts) + 1.0
        figure = Figure(figsize=(WIDTH, min(HEIGHT, height)), layout="constrained")
        panels = figure.subplots(1, len(statistics), sharey=True, squeeze=False)[0]
        for axes, (statistic, title) in zip(panels, statistics.items(), strict=True):
            rows = table[table["statistic"] == statistic]
            for n, group in enumerate(groups):
                group_rows = rows[rows["group"] == group].set_index("contrast").reindex(contrasts)
                y = at + offsets[n]
                for null, shade, _ in _NULLS:
                    axes.plot(group_rows[null], y, "|", color=shade, ms=7, mew=1.5, zorder=3)
                for negative_control, mark in marks.items():
                    axes.plot(group_rows[negative_control], y, marker=mark, color=colour(n), **hollow)
                error = np.stack([group_rows["value"] - group_rows["low"], group_rows["high"] - group_rows["value"]])
                axes.errorbar(group_rows["value"], y, xerr=np.nan_to_num(error), fmt="o", ms=3, lw=1.2, color=colour(n))
            axes.axvline(0, color=MUTED, lw=0.6, zorder=0)
            axes.set_title(title)
        if named:
            firsts = [f"{contrast}, " if len(contrasts) > 1 else "" for contrast in contrasts]
            names = [f"{first}{key(group)}" for first in firsts for group in groups]
            panels[0].set_yticks(np.add.outer(at, offsets).ravel(), names, fontsize=TINY)
            if len(contrasts) == 1:
                figure.suptitle(contrasts[0], fontsize=SMALL)
            keys = []
        else:
            panels[0].set_yticks(at, [broken(contrast, 24, 2) for contrast in contrasts])
            keys = [Line2D([], [], color=colour(n), marker="o", ms=3, label=key(name)) for n, name in enumerate(groups)]
        panels[0].set_ylim(len(contrasts) - 0.5, -0.5)
        nulls = [
            Line2D([], [], ls="", marker="|", ms=6, mew=1.5, color=shade, label=f"mean of the {name}-null")
            for null, shade, name in _NULLS
            if table[null].notna().any()
        ]
        others = [
            Line2D([], [], marker=mark, color=MUTED, label=f"negative control: {name.replace('-', ' ')}", **hollow)
            for name, mark in marks.items()
        ]
        keys_below(figure, [*keys, *nulls, *others])
        return figure


def group_profiles(table: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """Return a figure of the mean responses of groups of models to each condition, with 95 % intervals over models.

    Args:
        table: The columns `measure, condition, group, response, low, high`.
        measures: The measures of a response, from left to right: {measure: title of its axes}.
    """
    conditions = sorted(dict.fromkeys(table["condition"]), key=lambda c: "SWJN".find(c) % 5)  # others last
    groups = list(dict.fromkeys(table["group"]))
    at, step = np.arange(len(conditions)), 0.5 / len(groups)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
        panels = figure.subplots(1, len(measures), squeeze=False)[0]
        for axes, (measure, title) in zip(panels, measures.items(), strict=True):
            for n, group in enumerate(groups):
                rows = table[(table["measure"] == measure) & (table["group"] == group)]
                rows = rows.set_index("condition").reindex(conditions)
                error = np.stack([rows["response"] - rows["low"], rows["high"] - rows["response"]])
                x = at + step * (n - (len(groups) - 1) / 2)
                axes.errorbar(x, rows["response"], yerr=np.nan_to_num(error), fmt="o", ms=3.5, lw=1.2, color=colour(n))
            axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
            axes.set_xticks(at, conditions)
            axes.set_xlim(-0.5, len(conditions) - 0.5)
            axes.set_title(title)
        keys = [Line2D([], [], color=colour(n), marker="o", ms=3, label=key(group)) for n, group in enumerate(groups)]
        keys_below(figure, keys)
        return figure
