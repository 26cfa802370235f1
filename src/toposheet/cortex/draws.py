"""The maps of a comparison: the observed maps, and the maps of draws with shuffled labels or shuffled places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import shuffled_places
from toposheet.cortex.readout import sheet_readouts
from toposheet.stats import MeanAndVariance, halves, q_values, t_of, t_test

DRAWS_AT_ONCE = 50  # limits memory: four arrays (draws, units), and working memory


@dataclass(frozen=True)
class UnitMaps:
    """The values of each unit that map statistics need: for one comparison, or for a stack of null draws.

    Args:
        t: t of the contrast.
        q: False discovery rate over all units of all taps.
        even: t of the even items of each sample.
        odd: t of the odd items of each sample. even and odd are nan if a sample has fewer than 4 items, because a half
            then has no variance.
    """

    t: Float[np.ndarray, "*draws units"]
    q: Float[np.ndarray, "*draws units"]
    even: Float[np.ndarray, "*draws units"]
    odd: Float[np.ndarray, "*draws units"]


def unit_maps(comparison: Comparison) -> UnitMaps:
    """Return the maps of a comparison."""
    samples = comparison.design.samples
    even, odd = (_t_or_nan(comparison.items, [sample & half for sample in samples]) for half in halves(samples))
    return UnitMaps(comparison.t.values, comparison.q.values, even, odd)


def label_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps under the null that the contrast has no effect (`Design.null`), in chunks of draws.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    design = comparison.design
    for items, weights in null_draws(comparison, permutations, rng):
        test = t_test(items, weights)
        # Shuffled labels have halves of their own. With random signs the halves of the design stay.
        parts = halves([sample > 0 for sample in weights]) if design.exchanges_labels else halves(design.samples)
        even, odd = (_t_or_nan(items, [sample * half for sample in weights]) for half in parts)
        yield UnitMaps(test.t, q_values(test.p), even, odd)


def null_draws(
    comparison: Comparison, permutations: int, rng: np.random.Generator
) -> Iterator[tuple[Float[np.ndarray, "items units"], list[Shaped[np.ndarray, "draws items"]]]]:
    """Yield the items and their weights (`Design.null`) in chunks of draws.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    items, weights = comparison.design.null(comparison.items, permutations, rng)
    for start in range(0, permutations, DRAWS_AT_ONCE):
        yield items, [sample[start : start + DRAWS_AT_ONCE] for sample in weights]


def place_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps with the units of each tap at shuffled places (`shuffled_places`), in chunks of draws.

    Units change places before the readout.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    orders = np.empty((permutations, comparison.n_units), dtype=np.int64)
    taps = sorted(comparison.layouts, key=lambda tap: tap.name)
    for tap, within in zip(taps, shuffled_places(taps, permutations, rng), strict=True):
        orders[:, tap.units] = tap.units[within]
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
    # The readout is linear, so the mean of sampled responses is the sampled mean. Variances need every item, but only
    # its deviation from the mean of its part. A part is half of a sample: the maps of the halves need no further
    # sampling, and the map of the whole sample comes from the moments of its two halves.
    samples, x = comparison.design.samples, comparison.raw.items
    parts = [sample & half for sample in samples for half in halves(samples)]
    means = np.stack([x[part].mean(axis=0) for part in parts])
    deviations = np.concatenate([x[part] - mean for part, mean in zip(parts, means, strict=True)])
    deviations = np.ascontiguousarray(deviations.T, dtype=np.float32)
    sizes = [int(part.sum()) for part in parts]
    readouts = sheet_readouts(comparison.raw.responses, comparison.fwhm_mm)
    for orders in chunks:
        mean, squares = np.empty((2, len(parts), *orders.shape))
        for units, readout in readouts:
            for draw, order in enumerate(orders[:, units]):
                mean[:, draw, units] = readout.sample(means[:, order].T).T
                squares[:, draw, units] = readout.sums_of_squares(deviations[order], sizes)
        parts_of_draws = zip(sizes, mean, squares, strict=True)
        moments = [MeanAndVariance.of_squares(np.array([n]), m, s) for n, m, s in parts_of_draws]
        even, odd = moments[::2], moments[1::2]
        whole = t_of(*(one | other for one, other in zip(even, odd, strict=True)))
        q = q_values(whole.p)
        if min(sizes) < 2:
            none = np.full(orders.shape, np.nan)
            yield UnitMaps(whole.t, q, none, none)
        else:
            yield UnitMaps(whole.t, q, t_of(*even).t, t_of(*odd).t)


def _t_or_nan(
    x: Float[np.ndarray, "items units"], weights: Sequence[Shaped[np.ndarray, "*draws items"]]
) -> Float[np.ndarray, "*draws units"]:
    """Return t; nan if a sample has fewer than 2 items."""
    if min(np.abs(sample).sum(axis=-1).min() for sample in weights) < 2:
        return np.full((*weights[0].shape[:-1], x.shape[1]), np.nan)
    return t_test(x, weights).t
