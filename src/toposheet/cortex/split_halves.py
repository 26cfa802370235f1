"""Halves of the texts: how much of a map comes back in other texts. This describes a map; it tests nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.design import half_items
from toposheet.cortex.layout import TapLayout, row_names, with_mean
from toposheet.settings import check_count, check_seed
from toposheet.stats import cross_morans_i, t_test

SPLITS = 50
_DRAWS = 9  # of the null: each draw costs as much as the observed value
HALF_STATISTICS = {
    "cross_half_i": "bivariate Moran's I between the maps of two halves of the texts, mean over random halves",
    "half_correlation": "correlation over units between the maps of two halves of the texts, mean over random halves",
    "ceiling": "the highest expected correlation of the map with any other map: the root of its reliability",
}


def split_halves(comparison: Comparison, *, splits: int = SPLITS, null: bool = True, seed: int = 0) -> pd.DataFrame:
    """Return how much of the map of t comes back in other texts: the agreement of two halves, over random splits.

    Each split divides the items (texts, groups or pairs) of each condition at random into two halves. Neither the
    splits nor their null depend on the order of the texts in the table. The splits share texts, so their spread is no
    confidence interval: `low` and `high` are their range. Whether an effect is spatially ordered is tested by
    `organisation`, whose value is the mean cross product of the halves over all splits.

    If confounds are removed, the even texts and the odd texts have separate regressions. Then they are the only split,
    and the null is not computed.

    Args:
        comparison: The comparison, raw or with readout.
        splits: Number of splits.
        null: Whether the null is computed: the same mean over splits, in 9 draws without effect (`Design.null`).
        seed: Seed of the splits and of the draws.

    Returns:
        A row for each statistic and tap, for each sheet with several taps (tap `*`), and for the mean over taps (sheet
        and tap `*`), with the columns `statistic, sheet, tap, value, low, high, label_null_mean, label_null_sd`. The
        statistics are:

        - `cross_half_i`: bivariate Moran's I between the maps of the two halves (`cross_morans_i`).
        - `half_correlation`: Pearson's correlation of the two maps over units.
        - `ceiling`: the root of the reliability of the whole map, 2r / (1 + r) with r the `half_correlation`
          (Spearman 1910, Brown 1910). The map of these texts is not expected to correlate higher with any other map.
          It is nan if r is not positive.

        All values are nan if a condition has fewer than 4 items, because a half then has no variance. They are also nan
        in a negative control of a comparison with confounds: the confounds were fitted with the labels of the
        comparison, so the halves of the negative control are not independent.
    """
    check_count("splits", splits, 1, " split")
    check_seed(seed)
    layouts = comparison.map_layouts
    for_draws = np.random.default_rng(seed).spawn(1)[0]  # independent of the orders
    orders = [comparison.alphabetical] if comparison.confounds else comparison.random_orders(splits, seed)
    observed, draws = np.full((1, len(layouts) + 1, 2), np.nan), []
    if comparison.has_independent_halves:
        observed = _agreement(layouts, *_t_of_halves(comparison.items, comparison.design.samples, orders))
    if null and comparison.has_independent_halves and not comparison.confounds:
        items, weights = comparison.design.null(comparison.items, _DRAWS, for_draws, comparison.alphabetical)
        for number in range(_DRAWS):
            maps = _t_of_halves(items, [sample[number] for sample in weights], orders)
            draws.append(_agreement(layouts, *maps).mean(axis=0))
    rows = []
    for which, statistic in enumerate(("cross_half_i", "half_correlation")):
        values = observed[..., which]
        of_draws = np.array([draw[:, which] for draw in draws]) if draws else np.full((2, len(layouts) + 1), np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "statistic": statistic,
                    **row_names(layouts),
                    "value": values.mean(axis=0),
                    "low": values.min(axis=0),
                    "high": values.max(axis=0),
                    "label_null_mean": of_draws.mean(axis=0),
                    "label_null_sd": of_draws.std(axis=0, ddof=1),
                }
            )
        )
    r = rows[-1]["value"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        ceiling = np.where(r > 0, np.sqrt(2 * r / (1 + r)), np.nan)
    rows.append(rows[-1][["sheet", "tap"]].assign(statistic="ceiling", value=ceiling))
    return pd.concat(rows, ignore_index=True)


def _t_of_halves(
    items: Float[np.ndarray, "items units"],
    samples: Sequence[Shaped[np.ndarray, " items"]],
    orders: Sequence[Int[np.ndarray, " items"]],
) -> tuple[Float[np.ndarray, "splits units"], Float[np.ndarray, "splits units"]]:
    """Return t of the even and of the odd items, for each order of the items.

    Args:
        items: The value of each item.
        samples: For each sample, the weight of each item. 0: the item is not in the sample.
        orders: Orders in which the items are counted.
    """
    parts = [half_items([sample != 0 for sample in samples], order) for order in orders]
    even, odd = (_t_or_nan(items, [sample * np.stack(half) for sample in samples]) for half in zip(*parts, strict=True))
    return even, odd


def _agreement(
    layouts: Sequence[TapLayout], even: Float[np.ndarray, "splits units"], odd: Float[np.ndarray, "splits units"]
) -> Float[np.ndarray, "splits layouts_and_mean 2"]:
    """Return cross-half I and the correlation of the halves, for each split and layout, and the means over taps."""
    smooth = np.stack([cross_morans_i(layout.map(even), layout.map(odd)) for layout in layouts], axis=-1)
    alike = np.stack([_correlation(even[:, layout.units], odd[:, layout.units]) for layout in layouts], axis=-1)
    return np.stack([with_mean(smooth, layouts), with_mean(alike, layouts)], axis=-1)


def _correlation(a: Float[np.ndarray, "splits units"], b: Float[np.ndarray, "splits units"]) -> np.ndarray:
    """Return the correlation of two maps over the units that have a value in both; nan for a constant map."""
    present = np.isfinite(a) & np.isfinite(b)
    n = np.maximum(present.sum(axis=1, keepdims=True), 1)
    za, zb = (np.where(present, x, 0.0) for x in (a, b))
    za, zb = (np.where(present, z - z.sum(axis=1, keepdims=True) / n, 0.0) for z in (za, zb))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (za * zb).sum(axis=1) / np.sqrt((za**2).sum(axis=1) * (zb**2).sum(axis=1))


def _t_or_nan(
    x: Float[np.ndarray, "items units"], weights: Sequence[Shaped[np.ndarray, "splits items"]]
) -> Float[np.ndarray, "splits units"]:
    """Return t; nan if a sample has fewer than 2 items."""
    if min(np.abs(sample).sum(axis=-1).min() for sample in weights) < 2:
        return np.full((len(weights[0]), x.shape[1]), np.nan)
    return t_test(x, weights).t
