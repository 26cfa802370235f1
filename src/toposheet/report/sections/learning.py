"""How the models learned: their losses, and when the maps appeared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.summary import mean_over_taps
from toposheet.figures.curves import loss_curves, trajectory
from toposheet.figures.numbers import number, signed
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, Section
from toposheet.stimuli.studies import SYNTHETIC
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.snapshots import read_snapshots

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
        yield Drawing("losses", "Training", _loss_sentence(analysis.trained), loss_curves(metrics, bigram), stimuli="")
    snapshots = {name: read_snapshots(folder) for name, folder in analysis.folders.items()}
    columns = ["morans_i", "cross_half_i", "significant_fraction", "label_null_mean"]
    taken = {
        name: mean_over_taps(table, "update", columns)
        for name, table in snapshots.items()
        if len(set(table["update"])) > 1
    }
    if taken:
        title = "How topography appeared (synthetic stimuli)"
        yield Drawing("trajectory", title, _trajectory_sentence(taken), trajectory(taken), stimuli=SYNTHETIC)


def _loss_sentence(trained: Mapping[str, Any]) -> str:
    parts = [
        f"{name}: task loss {r['validation_task_loss']:.2f}, spatial loss {r['validation_spatial_loss']:.3f}"
        for name, r in trained.items()
    ]
    bigram = next((r["bigram_loss"] for r in trained.values()), None)
    losses = [r["validation_task_loss"] for r in trained.values()]
    cost = f", and what that costs: {100 * (losses[0] / losses[1] - 1):+.1f} % task loss" if len(losses) == 2 else ""
    beside = f" A bigram model of the same tokens reaches {bigram:.2f}." if bigram is not None else ""
    return (
        f"Held-out losses at the end — {'; '.join(parts)}.{beside} See whether the spatial loss leaves the dotted line "
        f"of a random placement (0.5){cost}."
    )


def _trajectory_sentence(snapshots: Mapping[str, pd.DataFrame]) -> str:
    parts = []
    for name, means in snapshots.items():
        rows = means.reset_index().to_dict("records")
        first, last = rows[0], rows[-1]
        z = (last["morans_i"] - last["null_mean"]) / last["null_sd"]
        parts.append(
            f"{name}: mean I = {number(first['morans_i'])} after {first['update']:,} updates, "
            f"{number(last['morans_i'])} after {last['update']:,} ({signed(z)} place-null sd)"
        )
    return (
        "A contrast of synthetic stimuli, whatever those of this report: sentences of each run's held-out text "
        "against non-words made of them (sentence:nonword, raw), while the models learned. Means over taps. "
        f"{'; '.join(parts)}. See when the lines leave their band, that of the mean under random placements, when "
        "they rise above the dots, what shuffled labels give, and when the map begins to come back in the other half "
        "of the items."
    )


SECTION = Section(place=90, partial=PARTIAL, view=lambda analysis: {}, drawings=_drawings)
