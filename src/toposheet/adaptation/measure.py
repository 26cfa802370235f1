"""What an adaptation is judged by: losses on held-out text, and the map of sentences against non-words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from accelerate import Accelerator

from toposheet.adaptation.text import AdaptationText
from toposheet.architectures.mode import in_mode
from toposheet.cache import cache_folder
from toposheet.cortex import Comparison, organisation, organisation_difference, summary_of, topography_statistics
from toposheet.cortex.layout import ALL_TAPS, MEAN_OVER_TAPS
from toposheet.cortex.summary import of_taps
from toposheet.progress import Progress, part_of
from toposheet.recipes import Recipe
from toposheet.results import Table, rows_with
from toposheet.subject import Subject, respond
from toposheet.train.snapshots import CONDITIONS
from toposheet.train.task import NextToken
from toposheet.train.validation import validate

ADAPTATION = Table(
    "adaptation.csv",
    {"model": "text", "tokens": "count", "seconds": "number", "task_loss": "number", "spatial_loss": "number",
     "organisation": "number", "organisation_p": "number", "morans_i": "number", "null_mean": "number",
     "null_sd": "number", "z": "number", "smallest_z": "number", "label_null_mean": "number", "label_p": "number",
     "cross_half_i": "number", "significant_fraction": "number"},
    "a subject at one stage of an adaptation, or a null of it: held-out losses and the map of sentences against "
    "non-words (raw, mean over taps)",
)  # fmt: skip
DIFFERENCES = Table(
    "adaptation_differences.csv",
    {"model": "text", "other": "text", "task_loss": "number", "spatial_loss": "number", "organisation": "number",
     "low": "number", "high": "number"},
    "the difference between two rows of adaptation.csv, with the 95 % interval over texts of the difference of the "
    "organisation",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Measured:
    """A subject at one stage of an adaptation, and how it was measured.

    Args:
        row: Its row of `ADAPTATION`.
        comparison: The comparison of sentences with non-words. None: the text gives no stimuli.
    """

    row: dict[str, Any]
    comparison: Comparison | None

    def minus(self, other: Measured) -> dict[str, Any]:
        """Return the row of `DIFFERENCES` for this subject and another one."""
        row = {name: self.row[name] - other.row[name] for name in ("task_loss", "spatial_loss")}
        row |= {"model": self.row["model"], "other": other.row["model"]}
        if self.comparison is None or other.comparison is None:
            return row
        table = organisation_difference(self.comparison, other.comparison)
        (of_mean,) = table[table["tap"] == ALL_TAPS].to_dict("records")
        return row | {"organisation": of_mean["difference"], "low": of_mean["low"], "high": of_mean["high"]}


def measured(
    name: str,
    subject: Subject,
    text: AdaptationText,
    recipe: Recipe,
    permutations: int,
    progress: Progress | None = None,
    **more: Any,
) -> Measured:
    """Return the losses of a subject on held-out text, and the statistics of its map of sentences against non-words.

    The texts of the map are sentences of the held-out text, each with a list of non-words that is made from it. A
    sentence and its list are a pair.

    Args:
        name: Name of the stage or the null.
        subject: The subject.
        text: The text of the adaptation.
        recipe: The recipe of the adaptation. It says how the spatial loss is computed, and its seed is that of all
            draws.
        permutations: Number of draws of each null.
        progress: A function that is called with the finished part of the work. None: no calls.
        more: Further columns of the row: the tokens and the seconds of a training.
    """
    tell = [part_of(progress, part, 3, name) for part in range(3)]
    tell[0]("held-out text", 0, 1)
    row: dict[str, Any] = {"model": name, "tokens": 0} | more | _losses(subject, text, recipe)
    if text.stimuli is None:
        return Measured(row, None)
    responses = respond(subject, text.stimuli, reading=text.reading, cache=cache_folder(), progress=tell[1])
    comparison = Comparison(responses, *CONDITIONS, pairs="pair")
    row |= _statistics(comparison, permutations, recipe.seed, tell[2])
    return Measured(row, comparison)


def _losses(subject: Subject, text: AdaptationText, recipe: Recipe) -> dict[str, float]:
    accelerator, topo = Accelerator(), subject.topography
    with subject.running() as model:
        device = next(model.parameters()).device
        model.to(accelerator.device)  # pyright: ignore[reportArgumentType]
        task = NextToken(model, recipe.optimisation.precision)
        with in_mode(model, training=False), topo.record(model) as activations:
            validation = validate(task, topo, activations, text.held_out, recipe, accelerator)
        model.to(device)  # pyright: ignore[reportArgumentType]
    spatial = list(validation.spatial_losses.values())
    return {"task_loss": validation.task_loss, "spatial_loss": float(np.mean(spatial))}


def _statistics(comparison: Comparison, permutations: int, seed: int, progress: Progress) -> dict[str, float]:
    """Return the statistics of the raw map, as means over taps, and the smallest z of Moran's I of all taps."""
    options: dict[str, Any] = {"fwhm_mm": 0.0, "permutations": permutations, "seed": seed, "progress": progress}
    (ordered,) = rows_with(organisation(comparison, **options), **MEAN_OVER_TAPS).to_dict("records")
    summary = summary_of(topography_statistics(comparison, **options), with_mean=True)
    (of_mean,) = rows_with(summary, **MEAN_OVER_TAPS).to_dict("records")
    names = ("morans_i", "null_mean", "null_sd", "z", "label_null_mean", "label_p", "cross_half_i")
    return {name: of_mean[name] for name in names} | {
        "organisation": ordered["value"],
        "organisation_p": ordered["p"],
        "smallest_z": of_taps(summary)["z"].min(),
        "significant_fraction": comparison.n_significant / comparison.n_units,
    }
