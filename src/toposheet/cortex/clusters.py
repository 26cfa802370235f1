"""Clusters of selective units: grown as in TopoLM, and tested against shuffled places."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.layout import shuffled_places, tap_layouts
from toposheet.errors import check_type
from toposheet.progress import SILENT, Progress
from toposheet.settings import MIN_SIZE, PERMUTATIONS, check_min_size, check_permutations
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
    min_size: int = MIN_SIZE,
    contiguity: str = "queen",
) -> xr.DataArray:
    """Return the clusters of units that respond more to the first condition of a contrast, as TopoLM grows them.

    TopoLM (arXiv:2410.11516) starts a cluster at the most selective unit. It adds the most selective neighbour until no
    neighbour is significant. The most selective of the remaining units then starts the next cluster. Small clusters are
    dropped. The result is always the set of connected components of the significant units with t > 0. This function
    computes these components.

    Args:
        selection: A comparison, whose units are significant if their false discovery rate is below 0.05; or a localizer
            from `localize`, whose mask says which units are significant.
        min_size: Number of units of the smallest cluster to keep.
        contiguity: Which units are neighbours. `"queen"`: their cells share an edge or a corner. `"rook"`: their cells
            share an edge.

    Returns:
        The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster. Clusters are
        numbered from 1, tap after tap. Within a tap, the cluster with the most selective unit comes first.

    Raises:
        UserError: The contiguity is unknown, or `min_size` is less than 1.
    """
    check_type(
        "selection", selection, (Comparison, xr.Dataset), "a toposheet.Comparison, or what toposheet.localize returns"
    )
    check_min_size(min_size)
    if isinstance(selection, Comparison):
        t, selective, taps = selection.t, _selective(selection), selection.layouts
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
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    contiguity: str = "queen",
    min_size: int = MIN_SIZE,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return whether selective units lie together on the sheet, compared with units at shuffled places (place-null).

    A unit is selective if t > 0 and its false discovery rate is below 0.05.

    If many units are selective, some of them are adjacent by chance. Above about 40 %, nearly all of them are connected
    by chance. Therefore the number and the size of clusters show little. Moran's I of the mask (1 for a selective unit,
    0 for another unit) separates clustered from scattered units however many are selective.

    Args:
        comparison: The comparison.
        permutations: Number of draws of the place-null, which shuffles the units of a tap among their cells.
        seed: Seed of the draws.
        contiguity: Which cells are neighbours in a cluster: `"queen"` or `"rook"`. Moran's I always uses queen
            contiguity.
        min_size: Number of units of the smallest cluster that counts.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        Three rows with the columns `statistic, value, null_mean, null_sd, z, p`. `mask_morans_i` is the mean over the
        taps in which a part of the units is selective (not none, not all). `clusters` is the number of clusters in all
        taps. `largest_cluster` is the number of units of the largest cluster of a tap, averaged over taps.

    Raises:
        UserError: The contiguity is unknown, or there are fewer than 2 permutations.
    """
    check_permutations(permutations)
    rng = np.random.default_rng(seed)
    selective = _selective(comparison)
    values: dict[str, list[np.ndarray]] = {"mask_morans_i": [], "clusters": [], "largest_cluster": []}
    tell = progress or SILENT
    taps = comparison.layouts
    for number, (tap, orders) in enumerate(zip(taps, shuffled_places(taps, permutations, rng), strict=True)):
        tell("clustering of the network, tap", number, len(taps))
        in_tap = selective[tap.units]
        grid = lay_out(np.concatenate([in_tap[None], in_tap[orders]]).astype(float), tap.cells, tap.shape)
        count, largest = count_and_largest(grid == 1, contiguity, min_size)
        for name, draws in (
            ("mask_morans_i", np.asarray(morans_i(grid))),
            ("clusters", count),
            ("largest_cluster", largest),
        ):
            values[name].append(draws)
    tell("clustering of the network, tap", len(taps), len(taps))
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


def _selective(comparison: Comparison) -> np.ndarray:
    """Return which units are significant and respond more to the first condition."""
    return (comparison.q.values < SIGNIFICANT) & (comparison.t.values > 0)
