"""The maps of a comparison: as they are, with the labels shuffled, and with the units at other places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import cells_of
from toposheet.stats import MeanAndVariance, SheetReadout, halves, q_values, shuffled_within, welch, welch_t
from toposheet.stats.contrast import centred, group_sums, p_of_sums

DRAWS_AT_ONCE = 50  # memory: four arrays (draws, units) and what making them takes


@dataclass(frozen=True)
class UnitMaps:
    """What a comparison looks like over all units, or over (draws, units) of a null.

    Args:
        t: Welch's t.
        q: False discovery rate over all units of all taps.
        even: Welch's t of the even items of each condition.
        odd: That of the odd items; nan where a condition has fewer than 4 items, so that halves have no variance.
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
    """Return the maps of a comparison.

    Args:
        comparison: The comparison.
        in_a: Which stimuli are in condition A, if not those that are; leading axes are alternative labellings.
        in_b: Which are in condition B.
    """
    if in_a is None or in_b is None:
        in_a, in_b = comparison.in_a, comparison.in_b
        t, q = comparison.t.values, comparison.q.values
    else:
        welch, p = comparison.test(in_a, in_b)
        t, q = welch.t, q_values(p)
    # Labels that change places within pairs leave the halves as they are.
    parts = halves(in_a, in_b, comparison.groups) if comparison.pairs is None else comparison.half_masks
    even, odd = (_half(comparison.x, in_a & half, in_b & half) for half in parts)
    return UnitMaps(t, q, even, odd)


def label_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps under shuffled labels, some draws at a time.

    Args:
        comparison: Raw or with readout.
        permutations: How many draws.
        rng: Source of the randomness.
    """
    labels_a, labels_b = comparison.shuffled_labels(permutations, rng)
    for start in range(0, permutations, DRAWS_AT_ONCE):
        chunk = slice(start, start + DRAWS_AT_ONCE)
        yield unit_maps(comparison, labels_a[chunk], labels_b[chunk])


def place_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps with the units moved to other places of their tap before the readout, some draws at a time.

    Args:
        comparison: Raw or with readout.
        permutations: How many draws.
        rng: Source of the randomness.
    """
    taps = np.unique(comparison.responses["tap"].values, return_inverse=True)[1]
    orders = shuffled_within(taps, permutations, rng)
    chunks = (orders[start : start + DRAWS_AT_ONCE] for start in range(0, permutations, DRAWS_AT_ONCE))
    if comparison.fwhm_mm == 0:
        in_place = unit_maps(comparison)
        for chunk in chunks:
            yield UnitMaps(in_place.t[chunk], in_place.q[chunk], in_place.even[chunk], in_place.odd[chunk])
    else:
        yield from _sampled_anew(comparison, chunks)


def _sampled_anew(comparison: Comparison, chunks: Iterator[Int[np.ndarray, "draws units"]]) -> Iterator[UnitMaps]:
    # What a readout of responses does to their means it does to the means' map; variances need every response, but
    # only its distance from the mean of its part: half of a condition, so that halves cost nothing extra.
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


def _half(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*draws stimuli"],
    in_b: Bool[np.ndarray, "*draws stimuli"],
) -> Float[np.ndarray, "*draws units"]:
    if min(in_a.sum(axis=-1).min(), in_b.sum(axis=-1).min()) < 2:
        return np.full((*in_a.shape[:-1], x.shape[1]), np.nan)
    return welch_t(x, in_a, in_b).t
