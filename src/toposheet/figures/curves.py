"""What happens while a model learns, update by update."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.style import COLOURS, MUTED, STYLE


def loss_curves(metrics: Mapping[str, pd.DataFrame], bigram_loss: float | None) -> Figure:
    """Return the task loss and the spatial loss of training runs, with the bigram model's task loss."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        task, spatial = figure.subplots(1, 2)
        for colour, (name, table) in zip(COLOURS, metrics.items(), strict=False):
            for axes, column in ((task, "task_loss"), (spatial, "spatial_loss")):
                if column in table:
                    updates = table.dropna(subset=[column])
                    smooth = updates[column].rolling(25, min_periods=1).mean()
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
