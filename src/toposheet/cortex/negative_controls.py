"""Negative controls of a contrast: comparisons of the same texts by labels that are not of interest."""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.cortex.comparison import Comparison, check_comparison
from toposheet.cortex.design import Design
from toposheet.packages import MissingPackage
from toposheet.settings import check_seed
from toposheet.stats import random_signs, shuffled_labels
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.measures import check_word_frequency, text_length, word_frequency

RANDOM_LABELS, FREQUENCY, LENGTH = "random-labels", "word-frequency", "length"
NEGATIVE_CONTROLS = {
    RANDOM_LABELS: Contrast("random-a", "random-b"),
    FREQUENCY: Contrast("frequent", "rare"),
    LENGTH: Contrast("long", "short"),
}


def negative_controls(comparison: Comparison, *, seed: int = 0) -> dict[str, Comparison]:
    """Return negative controls of a comparison: the same texts, compared by labels that are not of interest.

    - `random-labels`: the labels are shuffled; with pairs, the partners of a pair exchange their labels or do not.
    - `word-frequency`: in each condition, the texts whose words are more frequent than in the median text, against the
      other texts (mean Zipf frequency). It needs the package `wordfreq`, and is left out without this package.
    - `length`: in each condition, the texts with more letters than the median text, against the other texts.

    For `word-frequency` and `length`, the mean response of each condition is first subtracted. Thus the effect of the
    contrast is not in these negative controls. Texts of a group stay together.

    Args:
        comparison: The comparison.
        seed: Seed of the random labels, and of the order of texts with equal values.

    Returns:
        A comparison for each negative control: {name: comparison}. Each has the name of the original comparison, and
        its attribute `negative_control` names the negative control. A negative control is left out if one side has
        fewer than 3 texts or groups, or if all texts have the same length or frequency.

    Raises:
        UserError: The seed is negative, or not a whole number.
    """
    check_comparison(comparison)
    check_seed(seed)
    raw = comparison.raw
    responses, design = raw.responses, raw.design
    in_a, in_b, groups = design.in_a, design.in_b, design.groups
    # The name is part of the seed, so that the random labels differ from every draw of a label-null with this seed.
    rng = np.random.default_rng([seed, zlib.crc32(RANDOM_LABELS.encode())])
    labels = {RANDOM_LABELS: _labels(_random_labels(design, rng), NEGATIVE_CONTROLS[RANDOM_LABELS])}
    splits = {RANDOM_LABELS: responses}
    if "text" in responses.coords:
        texts = responses["text"].values.tolist()
        centred = responses.astype(np.float64)
        for mask in (in_a, in_b):
            centred.values[mask] -= centred.values[mask].mean(axis=0)
        measures = {FREQUENCY: word_frequency, LENGTH: text_length}
        for name in (name for name in measures if name not in missing_negative_controls()):
            if np.ptp(values := measures[name](texts)) > 1e-9:
                above = _above_median(values, in_a, groups, rng) | _above_median(values, in_b, groups, rng)
                labels[name], splits[name] = _labels(above, NEGATIVE_CONTROLS[name]), centred
    first = np.arange(len(in_a)) if groups is None else np.unique(groups, return_index=True)[1]  # one text per group
    relabelled = {}
    for name, data in splits.items():
        sides = NEGATIVE_CONTROLS[name]
        if all((labels[name][first] == side).sum() >= MIN_TEXTS for side in (sides.a, sides.b)):
            split = data.assign_coords(condition=("stimulus", labels[name]))
            relabelled[name] = raw.relabelled(split, sides, name, name == RANDOM_LABELS).readout(comparison.fwhm_mm)
    return relabelled


def missing_negative_controls() -> tuple[str, ...]:
    """Return the names of the negative controls that cannot be made, because a package is not installed."""
    try:
        check_word_frequency()
    except MissingPackage:
        return (FREQUENCY,)
    return ()


def _random_labels(design: Design, rng: np.random.Generator) -> Bool[np.ndarray, " texts"]:
    """Return which texts get the first label, if labels are dealt to the items at random."""
    if design.pairs is not None:
        exchanged = random_signs(1, design.n_items, rng)[0, design.item] < 0
        return np.where(exchanged, design.in_b, design.in_a)
    return shuffled_labels(design.samples[0], 1, rng)[0, design.item]


def _labels(in_a: Bool[np.ndarray, " stimuli"], sides: Contrast) -> np.ndarray:
    return np.where(in_a, sides.a, sides.b)


def _above_median(
    values: Float[np.ndarray, " stimuli"],
    members: Bool[np.ndarray, " stimuli"],
    groups: Int[np.ndarray, " stimuli"] | None,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " stimuli"]:
    """Return which texts of a condition are in the upper half of it, by the mean value of their group.

    Groups with equal values are split at random. The texts of a group stay together.
    """
    group_of_text = np.arange(len(values)) if groups is None else groups
    shuffled = rng.permutation(np.unique(group_of_text[members]))
    means = np.array([values[members & (group_of_text == group)].mean() for group in shuffled])
    upper = shuffled[np.argsort(means, kind="stable")][len(shuffled) // 2 :]
    return members & np.isin(group_of_text, upper)
