"""The section of learning: the losses in training, and the updates at which topography appeared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.figures.curves import loss_curves, trajectory
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, Section
from toposheet.report.sections.training import weighted_spatial_losses
from toposheet.stimuli.studies import SYNTHETIC
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.snapshots import means_over_taps, read_snapshots
from toposheet.wording import counted, number, signed

PARTIAL = """
{% for picture in pictures %}
<h2>{{ picture.title }}</h2>
{{ figure(picture) }}
{% endfor %}
"""


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    logged = {name: read_metrics(folder / METRICS) for name, folder in analysis.folders.items()}
    validated = {"validation_task_loss", "validation_spatial_loss"}
    if metrics := {name: table for name, table in logged.items() if validated <= set(table)}:
        bigram = next((result["bigram_loss"] for result in analysis.trained.values()), None)
        yield Drawing("losses", "Training", _loss_sentence(analysis), loss_curves(metrics, bigram), stimuli="")
    snapshots = {name: read_snapshots(folder) for name, folder in analysis.folders.items()}
    taken = {name: means_over_taps(table) for name, table in snapshots.items() if len(set(table["update"])) > 1}
    if taken:
        title = "How topography appeared (synthetic stimuli)"
        yield Drawing(
            "trajectory", title, _trajectory_sentence(taken), trajectory(taken, SIGNIFICANT), stimuli=SYNTHETIC
        )


def _loss_sentence(analysis: Analysis) -> str:
    trained, weighted = analysis.trained, weighted_spatial_losses(analysis)
    parts = [
        f"{name} has a task loss of {number(r['validation_task_loss'])} and a spatial loss of "
        f"{number(r['validation_spatial_loss'], 3)}, mean over sheets (alpha times the sum over taps: "
        f"{number(weighted[name], 3)})"
        for name, r in trained.items()
    ]
    bigram = next((r["bigram_loss"] for r in trained.values()), None)
    losses = [r["validation_task_loss"] for r in trained.values()]
    cost = ""
    if len(losses) == 2:
        first, second = trained
        percent = 100 * (losses[0] / losses[1] - 1)
        direction = "higher" if percent > 0 else "lower"
        cost = f" The task loss of {first} is {abs(percent):.1f} % {direction} than the task loss of {second}."
    beside = f"A bigram model of the same tokens has a task loss of {bigram:.2f}. " if bigram is not None else ""
    end = f"At the end of training, on held-out text, {'; '.join(parts)}. " if parts else ""
    return (
        f"{end}{beside}The dotted line at 0.5 is the spatial loss of units at random places. With a spatial loss "
        f"below this line, near units respond more alike than distant units.{cost}"
    )


def _trajectory_sentence(snapshots: Mapping[str, pd.DataFrame]) -> str:
    parts = []
    for name, means in snapshots.items():
        rows = means.reset_index().to_dict("records")
        first, last = rows[0], rows[-1]
        z = (last["morans_i"] - last["null_mean"]) / last["null_sd"]
        parts.append(
            f"{name}: Moran's I is {number(first['morans_i'])} after {counted(first['update'], 'update')}, and "
            f"{number(last['morans_i'])} after {counted(last['update'], 'update')} ({signed(z)} standard deviations from the mean "
            "of the place-null)"
        )
    return (
        "The figure follows the maps of one contrast while the models learned. These maps always use synthetic stimuli, even if the report "
        "uses other stimuli: sentences of the held-out text of each run against non-words that are made from these "
        f"sentences (sentence:nonword, raw). Values are means over taps. If a run stored no row for this mean, its band is the widest possible. {'; '.join(parts)}. Three events are of "
        "interest. Moran's I rises above the place-null band: the map is smoother than with shuffled places. Moran's I rises above its "
        "dotted line: the map is smoother than the mean of the label-null. The cross-half I rises: the map begins to come back "
        "in the other half of the texts."
    )


SECTION = Section(position=90, partial=PARTIAL, view=lambda analysis: {}, drawings=_drawings)
