"""Models side by side, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.style import COLOURS, MUTED, STYLE


def comparison(table: pd.DataFrame, statistics: Mapping[str, str]) -> Figure:
    """Return statistics of groups of models for each contrast, raw: means with 95 % hierarchical bootstrap intervals.

    Args:
        table: Rows of `report.comparison.compared`.
        statistics: Those that are shown and what their axes are called.
    """
    table = table[table["fwhm_mm"] == table["fwhm_mm"].min()]
    contrasts, groups = list(dict.fromkeys(table["contrast"])), list(dict.fromkeys(table["group"]))
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(3.0 + 0.45 * len(groups) * len(statistics), 0.42 * len(contrasts) + 1.6), layout="constrained"
        )
        panels = figure.subplots(1, len(statistics), sharey=True, squeeze=False)[0]
        at, step = np.arange(len(contrasts)), 0.6 / max(len(groups), 1)
        for axes, (statistic, title) in zip(panels, statistics.items(), strict=True):
            rows = table[table["statistic"] == statistic]
            for n, group in enumerate(groups):
                of_group = rows[rows["group"] == group].set_index("contrast").reindex(contrasts)
                y = at + step * (n - (len(groups) - 1) / 2)
                error = np.stack([of_group["value"] - of_group["low"], of_group["high"] - of_group["value"]])
                axes.errorbar(of_group["value"], y, xerr=np.nan_to_num(error), fmt="o", ms=4, lw=1.4,
                              color=COLOURS[n % len(COLOURS)], label=group)  # fmt: skip
            if statistic == "morans_i":
                null = rows.groupby("contrast", sort=False)["null_mean"].mean().reindex(contrasts)
                axes.plot(null, at, "|", color=MUTED, ms=14, label="place-null")
            axes.axvline(0, color=MUTED, lw=0.6)
            axes.set_title(title)
        panels[0].set_yticks(at, contrasts, fontsize=8)
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
        return figure
