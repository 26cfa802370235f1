"""Clusters of a map, tested as neuroimaging tests them: does the contrast make one as large?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats as scipy_stats

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.draws import DRAWS_AT_ONCE
from toposheet.cortex.layout import TapLayout
from toposheet.errors import UserError
from toposheet.results import Table
from toposheet.settings import check_between_0_and_1, check_permutations
from toposheet.stats import (
    cluster_masses,
    clusters,
    largest_mass,
    reaches,
    tfce,
    welch_t,
)

CLUSTERS = Table(
    "clusters.csv",
    {"contrast": "text", "negative_control": "text", "sheet": "text", "tap": "text", "fwhm_mm": "number",
     "cluster": "count", "sign": "count", "n_units": "count", "mass": "number", "p": "number", "peak_t": "number",
     "y": "count", "x": "count"},
    "a cluster of one map, the most massive of a contrast and readout first",
)  # fmt: skip


def selective_clusters(
    comparison: Comparison,
    *,
    permutations: int = 99,
    seed: int = 0,
    inference: str = "mass",
    forming_p: float = 0.001,
    contiguity: str = "queen",
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Return the clusters of a contrast, each with the p that shuffled labels make one as large: selectivity.

    Cluster-level inference as in neuroimaging (Bullmore et al. 1999, doi:10.1109/42.750253; Maris & Oostenveld 2007,
    doi:10.1016/j.jneumeth.2007.03.024): cells whose |t| passes the cluster-forming threshold make clusters with the
    neighbours of their sign; the mass of each, the sum of its t, is compared with the largest mass in any tap under
    shuffled labels. So p holds familywise over all clusters of all taps of one contrast and readout, for noise
    however smooth. What is claimed is that the labels matter in the cluster, not where exactly it ends. The
    smoothest tap sets the bar for all. Labels must be exchangeable: with conditions of unequal size whose spread or
    smoothness differs, p is too small where the smaller one varies more (simulated: 0.16 at a nominal 0.05 with 8 texts
    against 60 of a third of their standard deviation; none of that with equal sizes).

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Labellings drawn; the smallest p is 1 / (1 + permutations).
        seed: Of the draws.
        inference: `"mass"`, or `"tfce"`: threshold-free cluster enhancement (Smith & Nichols 2009), whose p is one for
            each cell; clusters are then the connected cells with p < 0.05.
        forming_p: Two-sided p of the t that forms clusters (n_a + n_b - 2 degrees of freedom; Woo et al. 2014,
            doi:10.1016/j.neuroimage.2013.12.058, on why 0.001); not used by TFCE.
        contiguity: `"queen"` or `"rook"`.

    Returns:
        A table with a row for each cluster, columns `contrast, negative_control, sheet, tap, fwhm_mm, cluster, sign,
        n_units, mass, p, peak_t, y, x` (the peak's cell), the most massive first; and a dataset over units: `cluster`,
        its number (0: none), `p`, familywise, that of its cluster or, by TFCE, of the unit (1 in none), and `t`.

    Raises:
        UserError: a condition is missing or too small, or a setting is out of range.
    """
    check_permutations(permutations)
    if inference not in ("mass", "tfce"):
        raise UserError(f"inference is {inference!r}: it must be 'mass' or 'tfce'")
    check_between_0_and_1("forming_p", forming_p)
    x, taps, t = comparison.x, comparison.layouts, comparison.t.values
    labels = comparison.shuffled_labels(permutations, np.random.default_rng(seed))
    threshold = float(scipy_stats.t.isf(forming_p / 2, len(x) - 2))

    def largest(t: np.ndarray) -> np.ndarray:
        """Return the largest statistic in any tap of maps (draws, units)."""
        if inference == "mass":
            return np.max([largest_mass(tap.map(t), threshold, contiguity) for tap in taps], axis=0)
        return np.max([tfce(tap.map(t), contiguity).max(axis=(-2, -1)) for tap in taps], axis=0)

    draws = np.concatenate(
        [
            largest(welch_t(x, *(label[start : start + DRAWS_AT_ONCE] for label in labels)).t)
            for start in range(0, permutations, DRAWS_AT_ONCE)
        ]
    )

    def familywise(statistic: np.ndarray) -> np.ndarray:
        return (1 + reaches(draws, np.asarray(statistic)[..., None]).sum(axis=-1)) / (1 + permutations)

    rows, number, unit_p = [], np.zeros(t.shape, dtype=np.int64), np.ones(t.shape)
    for tap in taps:
        grid = tap.map(t)
        if inference == "mass":
            labelled, masses = cluster_masses(grid, threshold, contiguity)
            cell_p = np.where(labelled > 0, familywise(np.abs(masses))[labelled], 1.0)
        else:
            cell_p = familywise(tfce(grid, contiguity))
            positive, negative = (clusters((cell_p < SIGNIFICANT) & (sign * grid > 0), contiguity) for sign in (1, -1))
            labelled = np.where(negative > 0, negative + positive.max(), positive)
        unit_p[tap.units] = tap.at_units(cell_p)
        for cluster in range(1, labelled.max() + 1):
            rows.append(_row(tap, grid, cell_p, labelled == cluster))
            number[tap.units[tap.at_units(labelled == cluster)]] = len(rows)
    order = sorted(range(len(rows)), key=lambda row: -abs(rows[row]["mass"]))
    rank = np.zeros(len(rows) + 1, dtype=np.int64)
    rank[[row + 1 for row in order]] = np.arange(1, len(rows) + 1)
    map_columns = {
        "contrast": comparison.name, "negative_control": comparison.negative_control, "fwhm_mm": comparison.fwhm_mm
    }  # fmt: skip
    table = CLUSTERS.frame([rows[row] | map_columns | {"cluster": n} for n, row in enumerate(order, 1)])
    values = {"cluster": ("unit", rank[number]), "p": ("unit", unit_p), "t": ("unit", t)}
    return table, xr.Dataset(values, coords=comparison.unit_coordinates)


def _row(tap: TapLayout, grid: np.ndarray, p: np.ndarray, cells: np.ndarray) -> dict[str, object]:
    inside = np.where(cells, np.abs(np.nan_to_num(grid)), -1.0)
    y, x = np.unravel_index(int(inside.argmax()), grid.shape)
    return {
        "sheet": tap.sheet,
        "tap": tap.name,
        "sign": int(np.sign(grid[y, x])),
        "n_units": int(cells.sum()),
        "mass": float(grid[cells].sum()),
        "p": float(p[cells].min()),
        "peak_t": float(grid[y, x]),
        "y": int(y),
        "x": int(x),
    }
