"""Patches of selective units: grown as TopoLM grows them, and whether they lie together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.layout import tap_layouts
from toposheet.settings import MIN_SIZE, check_min_size, check_permutations
from toposheet.sheet import lay_out
from toposheet.stats import (
    against_null,
    clusters,
    count_and_largest,
    morans_i,
)


def grow_clusters(
    selection: Comparison | xr.Dataset,
    *,
    q: float = SIGNIFICANT,
    min_size: int = MIN_SIZE,
    contiguity: str = "queen",
) -> xr.DataArray:
    """Return the clusters of units selective for the first condition of a contrast, as TopoLM grows them.

    From the most selective unit on, the most selective neighbour is added until none is significant; then the next
    most selective unit that is left starts another cluster; small ones are dropped (arXiv:2410.11516). What that
    ends with are the connected components of the significant units with t > 0, which is how they are found.

    Args:
        selection: A comparison, or a localizer from `localize`, whose mask then says which units are significant.
        q: Units of a comparison below this false discovery rate are significant.
        min_size: Clusters of fewer units are dropped.
        contiguity: `"queen"`: units whose cells share an edge or a corner are neighbours; `"rook"`: an edge.

    Returns:
        Over `unit`: the number of the cluster, 0 for none. Clusters are numbered through all taps from 1, tap after
        tap, in each from the one with the most selective unit on.

    Raises:
        UserError: the contiguity is unknown, or the size is under 1.
    """
    check_min_size(min_size)
    if isinstance(selection, Comparison):
        t, selective, taps = selection.t, _selective(selection, q), selection.layouts
    else:
        t, selective, taps = selection["t"], selection["mask"].values, tap_layouts(selection)
    labels, n = np.zeros(t.sizes["unit"], dtype=np.int64), 0
    for tap in taps:
        numbers = tap.at_units(clusters(tap.map(selective) == 1, contiguity, min_size))
        heights = t.values[tap.units]
        by_peak = sorted(set(numbers.tolist()) - {0}, key=lambda cluster: -heights[numbers == cluster].max())
        for cluster in by_peak:
            n += 1
            labels[tap.units[numbers == cluster]] = n
    return t.copy(data=labels).rename("cluster").drop_attrs()


def selective_unit_clustering(
    comparison: Comparison,
    *,
    permutations: int = 99,
    seed: int = 0,
    q: float = SIGNIFICANT,
    contiguity: str = "queen",
    min_size: int = MIN_SIZE,
) -> pd.DataFrame:
    """Return whether selective units lie together, against the place-null.

    Where many units are selective, some lie side by side wherever they are, and beyond two fifths nearly all of them
    do: numbers and sizes of clusters show little. Moran's I of the mask, 1 where a unit is selective and 0 elsewhere,
    tells together from scattered at any density.

    Args:
        comparison: The comparison.
        permutations: Draws of the place-null, which shuffles the units of a tap among their cells.
        seed: Of the draws.
        q: Units with t > 0 below this false discovery rate are selective.
        contiguity: `"queen"` or `"rook"`, of the clusters; Moran's I takes queens.
        min_size: Clusters of fewer units are not counted.

    Returns:
        Three rows, `statistic` being `mask_morans_i` (mean over the taps in which some but not all units are
        selective), `clusters` (in all taps) and `largest_cluster` (units, mean over taps), with
        `value, null_mean, null_sd, z, p`.

    Raises:
        UserError: the contiguity is unknown, or permutations are under 2.
    """
    check_permutations(permutations)
    rng = np.random.default_rng(seed)
    selective = _selective(comparison, q)
    values: dict[str, list[np.ndarray]] = {"mask_morans_i": [], "clusters": [], "largest_cluster": []}
    for tap in comparison.layouts:
        orders = tap.shuffled(permutations, rng)
        in_tap = selective[tap.units]
        grid = lay_out(np.concatenate([in_tap[None], in_tap[orders]]).astype(float), tap.cells, tap.shape)
        count, largest = count_and_largest(grid == 1, contiguity, min_size)
        for name, draws in (("mask_morans_i", morans_i(grid)), ("clusters", count), ("largest_cluster", largest)):
            values[name].append(draws)
    defined = [draws for draws in values["mask_morans_i"] if np.isfinite(draws[0])]
    over_taps = {
        "mask_morans_i": np.mean(defined, axis=0) if defined else np.full(1 + permutations, np.nan),
        "clusters": np.sum(values["clusters"], axis=0),
        "largest_cluster": np.mean(values["largest_cluster"], axis=0),
    }
    rows = []
    for name, draws in over_taps.items():
        columns = against_null(draws[0], draws[1:]).columns()
        rows.append({"statistic": name, "value": draws[0]} | {key: float(value) for key, value in columns.items()})
    return pd.DataFrame(rows)


def _selective(comparison: Comparison, q: float) -> np.ndarray:
    """Return which units are significant and respond more to the first condition."""
    return (comparison.q.values < q) & (comparison.t.values > 0)
