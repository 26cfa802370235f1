"""The maps of a comparison: the observed maps, and the maps of draws with shuffled labels or shuffled places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.layout import shuffled_places
from toposheet.cortex.readout import tap_readouts
from toposheet.stats import MeanAndVariance, small_q_values, t_of, t_test

DRAWS_AT_ONCE = 50  # limits memory: two arrays (draws, units), and working memory


@dataclass(frozen=True)
class UnitMaps:
    """The values of each unit that map statistics need: for one comparison, or for a stack of null draws.

    Args:
        t: t of the contrast.
        q: False discovery rate over all units of all taps. In draws of a null it may be 1 if it is 0.05 or more.
    """

    t: Float[np.ndarray, "*draws units"]
    q: Float[np.ndarray, "*draws units"]


def unit_maps(comparison: Comparison) -> UnitMaps:
    """Return the maps of a comparison."""
    return UnitMaps(comparison.t.values, comparison.q.values)


def label_draws(comparison: Comparison, permutations: int, rng: np.random.Generator) -> Iterator[UnitMaps]:
    """Yield the maps under the null that the contrast has no effect (`Design.null`), in chunks of draws.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws.
        rng: Generator of the random draws.
    """
    for items, weights in null_draws(comparison, permutations, rng):
        test = t_test(items, weights)
        yield UnitMaps(test.t, small_q_values(test, SIGNIFICANT))


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
            yield UnitMaps(in_place.t[chunk], in_place.q[chunk])
    else:
        yield from _shuffled_then_sampled(comparison, chunks)


def _shuffled_then_sampled(
    comparison: Comparison, chunks: Iterator[Int[np.ndarray, "draws units"]]
) -> Iterator[UnitMaps]:
    # The readout is linear, so the mean of sampled responses is the sampled mean. Variances need every item, but only
    # its deviation from the mean of its sample.
    samples, x = comparison.design.samples, comparison.raw.items
    means = np.stack([x[sample].mean(axis=0) for sample in samples])
    deviations = np.concatenate([x[sample] - mean for sample, mean in zip(samples, means, strict=True)])
    deviations = np.ascontiguousarray(deviations.T, dtype=np.float32)
    sizes = [int(sample.sum()) for sample in samples]
    readouts = tap_readouts(comparison.raw.responses, comparison.fwhm_mm)
    for orders in chunks:
        mean, squares = np.empty((2, len(samples), *orders.shape))
        for units, readout in readouts:
            for draw, order in enumerate(orders[:, units]):
                mean[:, draw, units] = readout.sample(means[:, order].T).T
                squares[:, draw, units] = readout.sums_of_squares(deviations[order], sizes)
        of_samples = zip(sizes, mean, squares, strict=True)
        test = t_of(*(MeanAndVariance.of_squares(np.array([n]), m, s) for n, m, s in of_samples))
        yield UnitMaps(test.t, small_q_values(test, SIGNIFICANT))
