"""Tests of the clusters of a map, as in neuroimaging: does a map without effect have a cluster as large as this?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats as scipy_stats

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.draws import null_draws
from toposheet.cortex.layout import TapLayout, tap_of
from toposheet.cortex.notes import MIXED_TEXTS
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_between_0_and_1, check_permutations, check_seed
from toposheet.stats import (
    cluster_masses,
    clusters,
    largest_mass,
    random_signs,
    reaches,
    skewness_of_t,
    t_test,
    tfce,
)
from toposheet.wording import readout_name

LARGEST_SKEWNESS = 0.07
"""The largest skewness of t (`stats.skewness_of_t`) with which clusters get a p."""
_SKEWNESS_DRAWS = 99

CLUSTERS = Table(
    "clusters.csv",
    {"contrast": "text", "negative_control": "text", "sheet": "text", "tap": "text", "fwhm_mm": "number",
     "cluster": "count", "sign": "count", "n_units": "count", "mass": "number", "p": "number", "peak_t": "number",
     "y": "count", "x": "count"},
    "a cluster of one map; within each contrast and readout, clusters are sorted by absolute mass, largest first",
)  # fmt: skip


def selective_clusters(
    comparison: Comparison,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    inference: str = "mass",
    forming_p: float = 0.001,
    contiguity: str = "queen",
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Return the clusters of selective units of a contrast, each with a familywise p.

    This is cluster-level inference as in neuroimaging (Bullmore et al. 1999, doi:10.1109/42.750253; Maris & Oostenveld
    2007, doi:10.1016/j.jneumeth.2007.03.024). Cells with |t| above the cluster-forming threshold form clusters with
    neighbours of the same sign. The mass of a cluster is the sum of t over its cells. Each draw is a map without effect
    (`cortex.design.Design.null`: shuffled labels, or random signs if there are pairs or unequal numbers of items), and
    the largest absolute mass on any sheet is recorded. The p of a cluster is (1 + b) / (1 + permutations), where b
    draws have a largest mass of at least the mass of the cluster. So p is corrected for all clusters of all sheets of
    one contrast and readout (familywise), even if the noise is smooth. On a sheet with several taps, a cluster may have
    units of several taps (tap `*` in the table).

    A small p means that the responses in the cluster depend on the labels. It does not mean that the borders of the
    cluster are exact. All sheets are compared with the same maximum, so the smoothest sheet decides how large a cluster
    must be.

    The maps of the draws are symmetric: large positive and large negative t are equally likely. t itself is not, if the
    noise is skewed and the conditions differ in their number of items or in their spread. Then each p is nan, with a
    warning. The rule, for each tap and each quarter of its sheet: the skewness of t (`stats.skewness_of_t`) is at least
    0.07, and it is further from the mean of 99 draws, in which the deviations of the items have random signs, than each
    of these draws. Skewed noise in a smaller region is not seen.

    Args:
        comparison: The comparison, raw or with readout.
        permutations: Number of draws. The smallest possible p is 1 / (1 + permutations).
        seed: Seed of the draws.
        inference: `"mass"`: test the mass of each cluster. `"tfce"`: threshold-free cluster enhancement (Smith &
            Nichols 2009). It gives a p for each cell; a cluster is then a set of connected cells of one sign with p <
            0.05.
        forming_p: Cluster-forming threshold: the two-sided p of a t with n_a + n_b - 2 degrees of freedom (n - 1 for n
            pairs). Woo et al.
            2014 (doi:10.1016/j.neuroimage.2013.12.058) explain the choice of 0.001. `"tfce"` does not use it.
        contiguity: Which cells are neighbours. `"queen"`: cells that share an edge or a corner. `"rook"`: cells that
            share an edge.
        progress: A function that is called with the number of draws done so far. None: no calls.

    Returns:
        A table and a dataset. The table has a row for each cluster, sorted by absolute mass, with the columns
        `contrast, negative_control, sheet, tap, fwhm_mm, cluster, sign, n_units, mass, p, peak_t, y, x`; y and x are
        the cell with the largest |t|. Where units share a cell, n_units counts each of them, and mass and peak_t belong
        to the mean t of each cell. The dataset has three variables over `unit`: `cluster`, the number of the unit's
        cluster (0: none); `p`, the familywise p of the unit's cluster (1: no cluster), or with `"tfce"` the p of the
        unit; and `t`. Where t is skewed, or texts are not independent (`Reading.mixes_texts`), every p in the table and
        in the dataset is nan.

    Warns:
        UserWarning: t is skewed, or texts are not independent, so there is no p.

    Raises:
        UserError: A setting is out of range.
    """
    check_comparison(comparison)
    check_permutations(permutations)
    check_seed(seed)
    if inference not in ("mass", "tfce"):
        raise UserError(f"inference is {inference!r}: it must be 'mass' or 'tfce'")
    check_between_0_and_1("forming_p", forming_p)
    sheets, t, design = comparison.sheet_layouts, comparison.t.values, comparison.design
    threshold = float(scipy_stats.t.isf(forming_p / 2, design.n_items - len(design.samples)))

    def largest(t: np.ndarray) -> np.ndarray:
        """Return the largest statistic of each draw, over all sheets; t is (draws, units)."""
        if inference == "mass":
            return np.max([largest_mass(sheet.map(t), threshold, contiguity) for sheet in sheets], axis=0)
        return np.max([tfce(sheet.map(t), contiguity).max(axis=(-2, -1)) for sheet in sheets], axis=0)

    tell, draws = progress or SILENT, np.empty(permutations)
    without_p = MIXED_TEXTS if comparison.mixes_texts else _skewness(comparison, seed)
    if without_p:
        warnings.warn(without_p, UserWarning, stacklevel=2)
    done = 0
    for items, weights in () if without_p else null_draws(comparison, permutations, np.random.default_rng(seed)):
        tell("label-null, draw", done, permutations)
        n = len(weights[0])
        draws[done : done + n] = largest(t_test(items, weights).t)
        done += n
    tell("label-null, draw", permutations, permutations)

    def familywise(statistic: np.ndarray) -> np.ndarray:
        """Return the p of each value of the statistic, compared with the largest value of each draw."""
        if without_p:
            return np.full(np.shape(statistic), np.nan)
        return (1 + reaches(draws, np.asarray(statistic)[..., None]).sum(axis=-1)) / (1 + permutations)

    rows, number, unit_p = [], np.zeros(t.shape, dtype=np.int64), np.full(t.shape, np.nan if without_p else 1.0)
    for sheet in sheets:
        grid = sheet.map(t)
        if inference == "mass":
            labelled, masses = cluster_masses(grid, threshold, contiguity)
            cell_p = np.where(labelled > 0, familywise(np.abs(masses))[labelled], 1.0)
        else:
            cell_p = familywise(tfce(grid, contiguity))
            positive, negative = (clusters((cell_p < SIGNIFICANT) & (sign * grid > 0), contiguity) for sign in (1, -1))
            labelled = np.where(negative > 0, negative + positive.max(), positive)
        if not without_p:
            unit_p[sheet.units] = sheet.at_units(cell_p)
        for cluster in range(1, labelled.max() + 1):
            units = sheet.units[sheet.at_units(labelled == cluster)]
            tap = tap_of(comparison.unit_coordinates["tap"].values[units])
            of_cells = _row(sheet, grid, cell_p, labelled == cluster)
            rows.append(of_cells | {"tap": tap, "n_units": len(units)})
            number[units] = len(rows)
    order = sorted(range(len(rows)), key=lambda row: -abs(rows[row]["mass"]))
    rank = np.zeros(len(rows) + 1, dtype=np.int64)
    rank[[row + 1 for row in order]] = np.arange(1, len(rows) + 1)
    map_columns = {
        "contrast": comparison.name, "negative_control": comparison.negative_control, "fwhm_mm": comparison.fwhm_mm
    }  # fmt: skip
    table = CLUSTERS.frame([rows[row] | map_columns | {"cluster": n} for n, row in enumerate(order, 1)])
    values = {"cluster": ("unit", rank[number]), "p": ("unit", unit_p), "t": ("unit", t)}
    return table, xr.Dataset(values, coords=comparison.unit_coordinates)


def _skewness(comparison: Comparison, seed: int) -> str:
    """Return why the clusters of a comparison get no p: the noise of its t is skewed. Empty: they get a p."""
    design = comparison.design

    def of_parts(items: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Return the median skewness of the units of each tap and of each of its quarters, on the last axis."""
        medians = []
        for tap in comparison.layouts:
            of_units = skewness_of_t(items[:, tap.units], weights)
            medians += [_median(of_units[..., part]) for part in _whole_and_quarters(tap)]
        return np.stack(medians, axis=-1)

    skewness = of_parts(comparison.items, design.samples)
    if not (np.abs(skewness) >= LARGEST_SKEWNESS).any():
        return ""
    deviations = design.residuals(comparison.items)
    signs = random_signs(_SKEWNESS_DRAWS, design.n_items, np.random.default_rng(seed))
    draws = of_parts(deviations, [signs * sample for sample in design.samples])
    symmetric = np.abs(skewness - draws.mean(axis=0)) <= np.nanmax(np.abs(draws - draws.mean(axis=0)))
    skewness = np.where(symmetric, 0.0, np.nan_to_num(np.abs(skewness)))
    if skewness.max() < LARGEST_SKEWNESS:
        return ""
    tap = [tap.name for tap in comparison.layouts for _ in _whole_and_quarters(tap)][int(skewness.argmax())]
    if design.pairs is None:
        a, b = comparison.contrast.a, comparison.contrast.b
        reason = f"the noise of {tap} is skewed, and {a!r} and {b!r} differ in their number of texts or in their spread"
        advice = "compare equal numbers of texts, or contrast the logarithms of the responses"
    else:
        reason = f"the differences within pairs are skewed in {tap}"
        advice = "use more pairs, or contrast the logarithms of the responses"
    return (
        f"{comparison.name}, {readout_name(comparison.fwhm_mm)}: clusters get no p (nan), because {reason} (skewness "
        f"of t {skewness.max():.2f}, at most {LARGEST_SKEWNESS:g} is allowed): {advice}"
    )


def _whole_and_quarters(tap: TapLayout) -> list[np.ndarray]:
    """Return masks of the units of a tap: all, and those in each quarter. Noise may be skewed in one region only."""
    low = tap.cells < np.array(tap.shape) / 2
    quarters = [(low == [top, left]).all(axis=1) for top in (True, False) for left in (True, False)]
    return [np.ones(len(low), dtype=bool), *(units for units in quarters if units.any())]


def _median(x: np.ndarray) -> np.ndarray | np.floating:
    """Return the median over the last axis. nan is left out; it is nan where nothing else is left."""
    if not np.isnan(x).any():
        return np.median(x, axis=-1)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return np.nanmedian(x, axis=-1)


def _row(layout: TapLayout, grid: np.ndarray, p: np.ndarray, cells: np.ndarray) -> dict[str, object]:
    """Return the columns of the table for the cluster that has these cells."""
    inside = np.where(cells, np.abs(np.nan_to_num(grid)), -1.0)
    y, x = np.unravel_index(int(inside.argmax()), grid.shape)
    row, column = layout.origin
    return {
        "sheet": layout.sheet,
        "sign": int(np.sign(grid[y, x])),
        "mass": float(grid[cells].sum()),
        "p": float(p[cells].min()),
        "peak_t": float(grid[y, x]),
        "y": row + int(y),
        "x": column + int(x),
    }
