"""Contrasts that should show nothing new: what a map of the stimuli looks like without the difference of interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from toposheet.cortex.contrasts import condition_masks
from toposheet.cortex.statistics import of_two
from toposheet.stats import residuals, shuffled_labels
from toposheet.stimuli.measures import text_length, word_frequency

RANDOM_LABELS, FREQUENCY, LENGTH = "random-labels", "word-frequency", "length"
CONFOUNDS = ("length", "frequency", "tokens")


def negative_controls(responses: xr.DataArray, a: str, b: str, seed: int = 0) -> dict[str, xr.DataArray]:
    """Return the stimuli of a contrast with other labels: what splits that are not of interest give.

    `random-labels`: dealt out at random. `word-frequency`: the texts of each condition whose words are more frequent
    than its median against the others (mean Zipf frequency, `wordfreq`; left out where that is not installed).
    `length`: the same for the number of letters. Splits are within conditions, so the contrast itself is in neither.

    Args:
        responses: From `respond`.
        a: First condition.
        b: Second condition.
        seed: Of random labels, and of the order of texts that are equal.

    Returns:
        Responses to the stimuli of both conditions, for each control, with the conditions `random-a` and `random-b`,
        `frequent` and `rare`, `long` and `short` (`CONDITIONS_OF_CONTROLS`). Controls with fewer than 3 texts on a
        side, and lengths or frequencies that are all equal, are left out.
    """
    responses = of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    rng = np.random.default_rng(seed)
    new_a, _ = shuffled_labels(in_a, in_b, 1, rng)
    labels = {RANDOM_LABELS: np.where(new_a[0], "random-a", "random-b")}
    if "text" in responses.coords:
        texts = responses["text"].values.tolist()
        for name, values in ((FREQUENCY, word_frequency(texts)), (LENGTH, text_length(texts))):
            if values is not None and np.ptp(values) > 1e-9:
                above = _above_median(values, in_a, rng) | _above_median(values, in_b, rng)
                labels[name] = np.where(above, *CONDITIONS_OF_CONTROLS[name])
    named = {name: responses.assign_coords(condition=("stimulus", label)) for name, label in labels.items()}
    return {name: data for name, data in named.items() if np.unique(data["condition"], return_counts=True)[1].min() > 2}


CONDITIONS_OF_CONTROLS = {
    RANDOM_LABELS: ("random-a", "random-b"),
    FREQUENCY: ("frequent", "rare"),
    LENGTH: ("long", "short"),
}


def named(contrast: str, control: str) -> str:
    """Return what tables call a control of a contrast, or the contrast itself where the control is empty."""
    return f"{contrast}/{control}" if control else contrast


def split_name(name: str) -> tuple[str, str]:
    """Return the contrast and the control, empty where there is none, of a name that `named` gave."""
    contrast, _, control = name.rpartition("/")
    return (contrast, control) if control in CONDITIONS_OF_CONTROLS else (name, "")


def without_confounds(responses: xr.DataArray, confounds: Sequence[str]) -> xr.DataArray:
    """Return responses less what confounds explain of them by linear regression (`stats.residuals`).

    Args:
        responses: From `respond`.
        confounds: Any of `length` (letters of the text), `frequency` (mean Zipf frequency of its words, which needs the
            package `wordfreq`), `tokens` (their number), or names of numeric columns of the stimuli.

    Raises:
        ValueError: there is no such column, or it is not numeric.
        FileNotFoundError: `wordfreq` is not installed.
    """
    responses = responses.transpose("stimulus", "unit")
    columns = [_confound(responses, name) for name in confounds]
    if not columns:
        return responses
    return responses.copy(data=residuals(responses.values, np.stack(columns, axis=1)))


def _confound(responses: xr.DataArray, name: str) -> np.ndarray:
    if name == "length":
        return text_length(responses["text"].values.tolist())
    if name == "frequency":
        frequency = word_frequency(responses["text"].values.tolist())
        if frequency is None:
            raise FileNotFoundError("word frequencies need the package wordfreq: pip install 'toposheet[stimuli]'")
        return frequency
    column: Any = "n_tokens" if name == "tokens" else name
    there = [str(c) for c, values in responses.coords.items() if values.dims == ("stimulus",)]
    if column not in there:
        raise ValueError(f"there is no confound {name!r}; there are: {', '.join([*CONFOUNDS, *there])}")
    try:
        values = responses[column].values.astype(float)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise ValueError(f"the confound {name!r} has values that are no numbers: take another column")
    return values


def _above_median(values: np.ndarray, member: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return which members are in the upper half of their group; equal values are split at random."""
    above = np.zeros(len(values), dtype=bool)
    members = rng.permutation(np.flatnonzero(member))
    by_value = members[np.argsort(values[members], kind="stable")]
    above[by_value[len(by_value) // 2 :]] = True
    return above
