"""Figure of the losses on validation examples during a fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.style import STYLE, WIDTH, colour, key


def validation_losses(metrics: Mapping[str, pd.DataFrame], kept: Mapping[str, int], title: str) -> Figure:
    """Return a figure of the task loss and the spatial loss on validation examples during fine-tunings.

    Args:
        metrics: The logged losses of each model: {name of the model: table}, with the columns `update,
            validation_task_loss, validation_spatial_loss`.
        kept: The update whose weights were kept, for each model. It is drawn as a large dot.
        title: Name of the task.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
        task, spatial = figure.subplots(1, 2)
        for n, (name, table) in enumerate(metrics.items()):
            for axes, column in ((task, "validation_task_loss"), (spatial, "validation_spatial_loss")):
                rows = table.dropna(subset=[column])
                axes.plot(rows["update"], rows[column], "o-", color=colour(n), ms=2, label=key(name))
                at = rows[rows["update"] == kept[name]]
                axes.plot(at["update"], at[column], "o", color=colour(n), ms=6)
        task.set(title=f"Task loss, {title}", xlabel="update", ylabel="loss on validation examples")
        spatial.set(title="Spatial loss, mean over sheets", xlabel="update", ylabel="(1 − corr(r, d)) / 2")
        spatial.set_ylim(bottom=0)
        task.legend(title="large dot: the weights that are kept")
        return figure
