"""The maps of a comparison: the observed maps, and the maps of draws with shuffled labels or shuffled places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import cells_of
from toposheet.stats import MeanAndVariance, SheetReadout, halves, q_values, shuffled_within, welch, welch_t
from toposheet.stats.contrast import centred, group_sums, p_of_sums

DRAWS_AT_ONCE = 50  # limits memory: four arrays (draws, units), and working memory


@dataclass(frozen=True)
class UnitMaps:
    """The values of each unit that map statistics need: for one comparison, or for a stack of null draws.

    Args:
        t: Welch's t.
        q: False discovery rate over all units of all taps.
        even: Welch's t of the even texts of each condition.
        odd: Welch's t of the odd texts of each condition. even and odd are nan if a condition has fewer than 4 texts,
            because a half then has no variance.
    """

    t: Float[np.ndarray, "*draws units"]
    q: Float[np.ndarray, "*draws units"]
    even: Float[np.ndarray, "*draws units"]
    odd: Float[np.ndarray, "*draws units"]


def unit_maps(
    comparison: Comparison,
    in_a: Bool[np.ndarray, "*draws stimuli"] | None = None,
    in_b: Bool[np.ndarray, "*draws stimuli"] | None = None,
) -> UnitMaps:
    """Return the maps of a comparison, with its labels or with other labels.

    Args:
        comparison: The comparison.
        in_a: True for each text of condition A; leading axes are alternative labellings. None: the labels of the
            comparison.
        in_b: True for each text of condition B. None: the labels of the comparison.
    """
    if in_a is None or in_b is None:
        in_a, in_b = comparison.in_a, comparison.in_b
        t, q = comparison.t.values, comparison.q.values
    else:
        welch, p = comparison.test(in_a, in_b)
        t, q = welch.t, q_values(p)
    # With pairs, labels are exchanged within pairs, and no pair is split, so the halves stay the same.
    parts = halves(in_a, in_b, comparison.groups) if comparison.pairs is None else comparison.half_masks
    even, odd = (_t_or_nan(comparison.x, in_a & half, in_b & half) for half in parts)
    return UnitMaps(t, q, even, odd)


def label_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps under shuffled labels, in chunks of draws.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    labels_a, labels_b = comparison.shuffled_labels(permutations, rng)
    for start in range(0, permutations, DRAWS_AT_ONCE):
        chunk = slice(start, start + DRAWS_AT_ONCE)
        yield unit_maps(comparison, labels_a[chunk], labels_b[chunk])


def place_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps with the units of each tap at shuffled places, in chunks of draws.

    Units change places before the readout.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    taps = np.unique(comparison.responses["tap"].values, return_inverse=True)[1]
    orders = shuffled_within(taps, permutations, rng)
    chunks = (orders[start : start + DRAWS_AT_ONCE] for start in range(0, permutations, DRAWS_AT_ONCE))
    if comparison.fwhm_mm == 0:
        in_place = unit_maps(comparison)
        for chunk in chunks:
            yield UnitMaps(in_place.t[chunk], in_place.q[chunk], in_place.even[chunk], in_place.odd[chunk])
    else:
        yield from _shuffled_then_sampled(comparison, chunks)


def _shuffled_then_sampled(
    comparison: Comparison, chunks: Iterator[Int[np.ndarray, "draws units"]]
) -> Iterator[UnitMaps]:
    # The readout is linear, so the mean of sampled responses is the sampled mean. Variances need every response, but
    # only its deviation from the mean of its part. A part is half of a condition: the maps of the halves need no
    # further sampling, and the map of the whole condition comes from the moments of its two halves.
    responses, groups = comparison.raw.responses, comparison.groups
    in_a, in_b = comparison.in_a, comparison.in_b
    parts = [condition & half for condition in (in_a, in_b) for half in comparison.half_masks]
    x = centred(responses.values)
    means = np.stack([x[part].mean(axis=0) for part in parts])
    deviations = np.concatenate([x[part] - mean for part, mean in zip(parts, means, strict=True)])
    deviations = np.ascontiguousarray(deviations.T, dtype=np.float32)
    sizes = [int(part.sum()) for part in parts]
    sums_of_groups = None if groups is None else group_sums(x, groups)
    sheets = responses["sheet"].values
    on_sheets = [np.flatnonzero(sheets == sheet) for sheet in dict.fromkeys(sheets.tolist())]
    readouts = []
    for units in on_sheets:
        sheet_responses = responses.isel(unit=units)
        fwhm = comparison.fwhm_mm / float(sheet_responses["spacing_mm"].values[0])
        readouts.append((units, SheetReadout(*cells_of(sheet_responses), fwhm)))
    for orders in chunks:
        mean, squares = np.empty((2, len(parts), *orders.shape))
        p = np.empty(orders.shape)
        for units, readout in readouts:
            for draw, order in enumerate(orders[:, units]):
                mean[:, draw, units] = readout.sample(means[:, order].T).T
                squares[:, draw, units] = readout.sums_of_squares(deviations[order], sizes)
                if sums_of_groups is not None:
                    sums, n, first = sums_of_groups
                    p[draw, units] = p_of_sums(readout.sample(sums[:, order].T).T, n, in_a[first], in_b[first])
        moments = [
            MeanAndVariance(np.array([n]), m, s / max(n - 1, 1)) for n, m, s in zip(sizes, mean, squares, strict=True)
        ]
        a_even, a_odd, b_even, b_odd = moments
        whole = welch(a_even | a_odd, b_even | b_odd)
        q = q_values(whole.p if sums_of_groups is None else p)
        if min(sizes) < 2:
            none = np.full(orders.shape, np.nan)
            yield UnitMaps(whole.t, q, none, none)
        else:
            yield UnitMaps(whole.t, q, welch(a_even, b_even).t, welch(a_odd, b_odd).t)


def _t_or_nan(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*draws stimuli"],
    in_b: Bool[np.ndarray, "*draws stimuli"],
) -> Float[np.ndarray, "*draws units"]:
    """Return Welch's t; nan if a condition has fewer than 2 stimuli."""
    if min(in_a.sum(axis=-1).min(), in_b.sum(axis=-1).min()) < 2:
        return np.full((*in_a.shape[:-1], x.shape[1]), np.nan)
    return welch_t(x, in_a, in_b).t
