"""Contrasts that should show nothing new: what a map of the stimuli looks like without the difference of interest."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from toposheet.cortex.contrasts import condition_masks, groups_of, of_two
from toposheet.cortex.layout import check_coordinates
from toposheet.errors import NotFound, UserError
from toposheet.stats import halves, residuals, shuffled_labels
from toposheet.stimuli.contrasts import MIN_TEXTS
from toposheet.stimuli.measures import text_length, word_frequency

RANDOM_LABELS, FREQUENCY, LENGTH = "random-labels", "word-frequency", "length"
TEXTS_A_CONFOUND = 20
CONFOUNDS = ("length", "frequency", "tokens")


def negative_controls(responses: xr.DataArray, a: str, b: str, seed: int = 0) -> dict[str, xr.DataArray]:
    """Return the stimuli of a contrast with other labels: what splits that are not of interest give.

    `random-labels`: dealt out at random. `word-frequency`: the texts of each condition whose words are more frequent
    than its median against the others (mean Zipf frequency, `wordfreq`; left out where that is not installed).
    `length`: the same for the number of letters. Splits are within conditions, whose means are taken out, so the
    contrast itself is in neither. Texts of equal `shared_words` stay together.

    Args:
        responses: From `respond`.
        a: First condition.
        b: Second condition.
        seed: Of random labels, and of the order of texts that are equal.

    Returns:
        Responses to the stimuli of both conditions, for each control, with the conditions `random-a` and `random-b`,
        `frequent` and `rare`, `long` and `short` (`CONDITIONS_OF_CONTROLS`). Controls with fewer than 3 texts (or
        groups of texts) on a side, and lengths or frequencies that are all equal, are left out.
    """
    responses = of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    groups = groups_of(responses)
    rng = np.random.default_rng([seed, zlib.crc32(RANDOM_LABELS.encode())])  # no draw of a label-null of this seed
    new_a, _ = shuffled_labels(in_a, in_b, 1, rng, groups)
    dealt = np.where(new_a[0], *CONDITIONS_OF_CONTROLS[RANDOM_LABELS])
    controls = {RANDOM_LABELS: responses.assign_coords(condition=("stimulus", dealt))}
    if "text" in responses.coords:
        texts = responses["text"].values.tolist()
        centred = responses.astype(np.float64)
        for mask in (in_a, in_b):
            centred.values[mask] -= centred.values[mask].mean(axis=0)
        for name, values in ((FREQUENCY, word_frequency(texts)), (LENGTH, text_length(texts))):
            if values is not None and np.ptp(values) > 1e-9:
                above = _above_median(values, in_a, groups, rng) | _above_median(values, in_b, groups, rng)
                labels = np.where(above, *CONDITIONS_OF_CONTROLS[name])
                controls[name] = centred.assign_coords(condition=("stimulus", labels))
    first = np.arange(len(in_a)) if groups is None else np.unique(groups, return_index=True)[1]  # groups count as one
    return {
        name: data
        for name, data in controls.items()
        if all((data["condition"].values[first] == side).sum() >= MIN_TEXTS for side in CONDITIONS_OF_CONTROLS[name])
    }


def left_out() -> str:
    """Return, in words, which negative control cannot be made here and why; nothing where all can."""
    if word_frequency(["a"]) is not None:
        return ""
    return f"the control {FREQUENCY} is left out: it needs the package wordfreq (pip install 'toposheet[stimuli]')"


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


def without_confounds(responses: xr.DataArray, confounds: Sequence[str], a: str, b: str) -> xr.DataArray:
    """Return the responses to two conditions less what confounds explain of them by linear regression.

    What confounds and conditions explain alike is taken away with the confounds: where the two go together a contrast
    is too small rather than too large, and where a confound nearly is the condition little is left of it. The even and
    the odd texts of each condition are fitted by themselves, so that neither half knows of the other (fitted together,
    their maps would be opposites). Deviations from the mean of a condition are scaled by sqrt((n - 2) / (n - 3 - 2k)),
    so that t pays for k confounds in two halves; where these are balanced over the conditions it is that of the
    regression. Labels shuffled afterwards are not fitted anew: with few texts a confound their p is too small, so there
    must be 20.

    Args:
        responses: From `respond`.
        confounds: Any of `length` (letters of the text), `frequency` (mean Zipf frequency of its words, which needs the
            package `wordfreq`), `tokens` (their number), or names of numeric columns of the stimuli.
        a: First condition; the regression sees the texts of these two and no others.
        b: Second condition.

    Raises:
        UserError: there is no such column, it is not numeric, or there are fewer than 20 texts a confound.
        NotFound: `wordfreq` is not installed.
    """
    if not confounds:
        return responses
    responses = of_two(responses, a, b)
    columns = np.stack([_confound(responses, name) for name in dict.fromkeys(confounds)], axis=1)
    n, k = columns.shape
    if n < TEXTS_A_CONFOUND * k:
        raise UserError(f"{k} confounds and {n} texts: take out one confound for {TEXTS_A_CONFOUND} texts at most")
    in_a, in_b = condition_masks(responses, a, b)
    even, _ = halves(in_a, in_b, groups_of(responses))
    of_halves = np.column_stack([even, columns * even[:, None], columns * ~even[:, None]])  # each is fitted by itself
    left = residuals(responses.values, of_halves)
    for mask in (in_a, in_b):
        mean = left[mask].mean(axis=0)
        left[mask] = mean + (left[mask] - mean) * np.sqrt((n - 2) / (n - 2 - of_halves.shape[1]))
    return responses.copy(data=left)


def _confound(responses: xr.DataArray, name: str) -> np.ndarray:
    if name in ("length", "frequency"):
        check_coordinates(responses, "text")
    if name == "length":
        return text_length(responses["text"].values.tolist())
    if name == "frequency":
        frequency = word_frequency(responses["text"].values.tolist())
        if frequency is None:
            raise NotFound("word frequencies need the package wordfreq: pip install 'toposheet[stimuli]'")
        return frequency
    column: Any = "n_tokens" if name == "tokens" else name
    there = [str(c) for c, values in responses.coords.items() if values.dims == ("stimulus",)]
    if column not in there:
        raise UserError(f"there is no confound {name!r}; there are: {', '.join([*CONFOUNDS, *there])}")
    try:
        values = responses[column].values.astype(float)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise UserError(f"the confound {name!r} has values that are no numbers: take another column")
    return values


def _above_median(
    values: np.ndarray, member: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return which members are in the upper half of their condition; equal ones are split at random, groups are not."""
    group = np.arange(len(values)) if groups is None else groups
    there = rng.permutation(np.unique(group[member]))
    means = np.array([values[member & (group == one)].mean() for one in there])
    upper = there[np.argsort(means, kind="stable")][len(there) // 2 :]
    return member & np.isin(group, upper)
