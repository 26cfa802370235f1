"""Does a contrast make a map? Statistics of its topography beside what chance, noise and reliability say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.contrasts import check_finite, condition_masks, groups_of, of_two, readout
from toposheet.cortex.layout import TapLayout, tap_layouts
from toposheet.cortex.maps import ContrastMaps, contrast_maps, relabelled, replaced
from toposheet.settings import MIN_SIZE, check_permutations
from toposheet.stats import (
    Pairs,
    against_null,
    count_and_largest,
    cross_morans_i,
    islands_morans_i,
    morans_i,
    participation_ratio,
    shuffled_labels,
    shuffled_within,
    spatial_correlation,
)

SIGNIFICANT = 0.05
MEAN_OVER_TAPS = "*"


def map_statistics(
    responses: xr.DataArray,
    a: str,
    b: str,
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how topographic the map of a contrast is, for each tap and readout, with its nulls.

    The short form of `topography_statistics`, which says what the nulls are and has more statistics.

    Args:
        responses: From `respond`.
        a: Condition whose larger responses make t positive.
        b: The condition it is compared with.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        seed: Of the draws.

    Returns:
        One row for each tap and readout, columns `contrast, sheet, tap, fwhm_mm, n_units,
        significant_fraction` (q < 0.05 over all taps), `morans_i, null_mean, null_sd, z, p` (place-null),
        `label_null_mean, label_null_sd, label_z, label_p, cross_half_i` (nan under 4 items a condition).
        p is one-sided, (1 + b) / (1 + B).

    Raises:
        UserError: a condition is missing or too small, a width or a number of permutations is out of range.
    """
    return summary_of(topography_statistics(responses, a, b, fwhm_mm, permutations, seed))


def summary_of(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return the short form of a table of `topography_statistics`: a row for each contrast, tap and readout."""
    of_taps = statistics[statistics["tap"] != MEAN_OVER_TAPS]
    keys = [name for name in ("model", "contrast", "sheet", "tap", "fwhm_mm") if name in of_taps]

    def values(statistic: str) -> pd.Series:
        rows = of_taps[of_taps["statistic"] == statistic]
        return rows.set_index(keys)["value"].rename(statistic)

    columns = ["n_units", "value", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p"]  # fmt: skip
    table = of_taps[of_taps["statistic"] == "morans_i"].set_index(keys)[columns]
    table = table.rename(columns={"value": "morans_i"})
    table.insert(1, "significant_fraction", values("significant_fraction"))
    return table.join(values("cross_half_i")).reset_index()


def topography_statistics(
    responses: xr.DataArray,
    a: str,
    b: str,
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    seed: int = 0,
    contiguity: str = "queen",
    min_size: int = MIN_SIZE,
) -> pd.DataFrame:
    """Return every statistic of the map of a contrast, for each tap and readout, with its nulls.

    Two nulls answer two questions. The *place-null* shuffles the units of a tap among their cells, before
    the readout: are the places special? The *label-null* deals the stimuli out to the conditions anew: is
    it the contrast, or would noise, which is smooth in a topographic model, make such a map too? (Of
    smoothness: a selective map need not be smoother than chance; significance and cross-half tell that.)
    Where stimuli have a column `shared_words`, those of a group (texts that share words) keep one label and are in one
    half, and p and q are those of the groups' means (`contrast`). The effect itself is part of what labels
    dealt anew make noise of.

    `statistic` is one of

    - `morans_i`: spatial autocorrelation of t (`morans_i`, queen contiguity, nothing thresholded);
    - `cross_half_i`: bivariate Moran's I between the maps of the even and of the odd items of each
      condition: how much of the map comes back (nan under 4 items a condition). Its test is the label-null; the
      place-null, here too, only asks of places;
    - `islands_i`: Moran's I of the significant units alone; nan, and counted in `undefined`, where under 10 %
      or 30 units of a tap are significant;
    - `significant_fraction`: units with q < 0.05, Benjamini-Hochberg over all taps jointly;
    - `clusters`: clusters of adjacent significant units of one sign (`grow_clusters`);
    - `largest_cluster`: units of the largest.

    Args:
        responses: From `respond`.
        a: Condition whose larger responses make t positive.
        b: The condition it is compared with.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        seed: Of the draws.
        contiguity: Of `clusters` and `largest_cluster`, `"queen"` or `"rook"`; Moran's I takes queens.
        min_size: Units of the smallest cluster that `clusters` counts.

    Returns:
        A row for each statistic, readout and tap, and for the mean over taps (tap `*`), whose nulls are means over
        taps of the same draws. Columns `contrast, sheet, tap, fwhm_mm, n_units, statistic, value`, then
        `null_mean, null_sd, z, p, undefined` of the place-null and the same with `label_` of the label-null.
        p is one-sided, (1 + b) / (1 + B), of values as large as this; `undefined` is the share of draws in which
        the statistic is nan.

    Raises:
        UserError: a condition is missing or too small, a width or a number of permutations is out of range.
    """
    check_permutations(permutations)
    responses = of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    for_labels, for_places = np.random.default_rng(seed).spawn(2)
    labels = shuffled_labels(in_a, in_b, permutations, for_labels, groups_of(responses))
    orders = shuffled_within(_numbered(responses["tap"].values), permutations, for_places)
    taps, count = tap_layouts(responses), partial(count_and_largest, contiguity=contiguity, min_size=min_size)
    tables = []
    for fwhm in fwhm_mm:
        sampled = readout(responses, fwhm)
        value = _statistics(contrast_maps(sampled, in_a, in_b), taps, count)
        place = _collected(replaced(responses, in_a, in_b, fwhm, orders), taps, count)
        label = _collected(relabelled(sampled, *labels), taps, count)
        table = _table(value, place, label, taps)
        tables.append(table.assign(contrast=f"{a}:{b}", fwhm_mm=float(fwhm)))
    return pd.concat(tables, ignore_index=True)[_COLUMNS]


def response_statistics(responses: xr.DataArray, permutations: int = 99, seed: int = 0) -> pd.DataFrame:
    """Return what the responses of each tap say of its topography whatever the conditions, with the place-null.

    `statistic` is one of

    - `participation_ratio`: how many dimensions the responses fill (`stats.participation_ratio`). It knows no
      places and so has no null; where it is small, all maps are smooth or none is, and nulls are wide;
    - `smoothness_mm`: the width of a Gaussian that would make adjacent units as alike as they are;
    - `wiring_mm`: mean length of wires between units that respond alike; p is of values as small as this.

    Args:
        responses: From `respond`; all stimuli count, their conditions do not.
        permutations: Draws of the place-null, which shuffles the units of a tap among their cells.
        seed: Of the draws.

    Returns:
        A table like that of `topography_statistics`; readout 0, no contrast, and no label-null.

    Raises:
        UserError: the number of permutations is out of range.
    """
    check_permutations(permutations)
    check_finite(responses)
    taps, x = tap_layouts(responses), responses.transpose("stimulus", "unit").values.astype(np.float64)
    rng = np.random.default_rng(seed)
    value: dict[str, list[float]] = {name: [] for name in ("participation_ratio", "smoothness_mm", "wiring_mm")}
    place: dict[str, list[np.ndarray]] = {name: [] for name in value}
    for tap in taps:
        own, pairs = x[:, tap.units], Pairs.of(tap.cells, tap.spacing_mm)
        orders = shuffled_within(np.zeros(len(tap.units), dtype=np.int64), permutations, rng)
        in_place, moved = spatial_correlation(own, pairs), spatial_correlation(own, pairs, orders)
        value["participation_ratio"].append(participation_ratio(own))
        place["participation_ratio"].append(np.full(permutations, np.nan))
        for name in ("smoothness_mm", "wiring_mm"):
            value[name].append(float(getattr(in_place, name)))
            place[name].append(getattr(moved, name))
    values = {name: np.array(of_taps) for name, of_taps in value.items()}
    placed = {name: np.stack(of_taps, axis=1) for name, of_taps in place.items()}
    absent = {name: np.full((2, len(taps)), np.nan) for name in values}
    return _table(values, placed, absent, taps).assign(contrast="", fwhm_mm=0.0)[_COLUMNS]


def correlation_curve(responses: xr.DataArray, permutations: int = 99, seed: int = 0) -> pd.DataFrame:
    """Return r(d): the mean correlation of two units' responses by the distance between them, with the place-null.

    Args:
        responses: From `respond`; all stimuli count.
        permutations: Draws of the place-null.
        seed: Of the draws.

    Returns:
        A row for each tap and distance (mm, rounded to the spacing of the cells), columns `sheet, tap,
        distance_mm, r, null_mean, null_sd, z, p`.
    """
    check_permutations(permutations)
    check_finite(responses)
    x, rng, tables = responses.transpose("stimulus", "unit").values.astype(np.float64), np.random.default_rng(seed), []
    for tap in tap_layouts(responses):
        pairs = Pairs.of(tap.cells, tap.spacing_mm)
        orders = shuffled_within(np.zeros(len(tap.units), dtype=np.int64), permutations, rng)
        distance, r = spatial_correlation(x[:, tap.units], pairs).curve(tap.spacing_mm)
        null = against_null(r, spatial_correlation(x[:, tap.units], pairs, orders).curve(tap.spacing_mm)[1])
        columns = {"distance_mm": distance, "r": r, **null.columns()}
        tables.append(pd.DataFrame({"sheet": tap.sheet, "tap": tap.name, **columns}))
    return pd.concat(tables, ignore_index=True)


_COLUMNS = [
    "contrast", "sheet", "tap", "fwhm_mm", "n_units", "statistic", "value",
    "null_mean", "null_sd", "z", "p", "undefined",
    "label_null_mean", "label_null_sd", "label_z", "label_p", "label_undefined",
]  # fmt: skip
_SMALLER_IS_TOPOGRAPHIC = {"wiring_mm"}
_Count = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # number of clusters and size of the largest


def _of_map(maps: ContrastMaps, tap: TapLayout, count: _Count) -> dict[str, np.ndarray]:
    """Return the statistics of one tap's maps."""
    t, q, even, odd = (tap.map(of_units) for of_units in (maps.t, maps.q, maps.even, maps.odd))
    significant = q < SIGNIFICANT
    positive, negative = (count(significant & (sign * t > 0)) for sign in (1, -1))
    return {
        "morans_i": morans_i(t),
        "cross_half_i": cross_morans_i(even, odd),
        "islands_i": islands_morans_i(t, significant),
        "significant_fraction": significant.sum(axis=(-2, -1)) / (~np.isnan(t)).sum(axis=(-2, -1)),
        "clusters": positive[0] + negative[0],
        "largest_cluster": np.maximum(positive[1], negative[1]),
    }


def _statistics(maps: ContrastMaps, taps: Sequence[TapLayout], count: _Count) -> dict[str, np.ndarray]:
    """Return each statistic over (..., taps)."""
    of_taps = [_of_map(maps, tap, count) for tap in taps]
    return {name: np.stack([of_tap[name] for of_tap in of_taps], axis=-1) for name in of_taps[0]}


def _collected(draws: Iterable[ContrastMaps], taps: Sequence[TapLayout], count: _Count) -> dict[str, np.ndarray]:
    """Return each statistic over (draws, taps)."""
    parts = [_statistics(maps, taps, count) for maps in draws]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _table(
    value: Mapping[str, np.ndarray],
    place: Mapping[str, np.ndarray],
    label: Mapping[str, np.ndarray],
    taps: Sequence[TapLayout],
) -> pd.DataFrame:
    n_units = [len(tap.units) for tap in taps]
    parts: dict[str, list[np.ndarray]] = {}
    for statistic, of_taps in value.items():
        larger = statistic not in _SMALLER_IS_TOPOGRAPHIC
        for over in (lambda x: x, _mean_over_taps):
            of_row = {"value": over(of_taps)}
            for prefix, draws in (("", place), ("label_", label)):
                null = against_null(over(of_taps), over(draws[statistic]), larger)
                of_row |= null.columns(prefix) | {f"{prefix}undefined": null.undefined}
            for name, column in of_row.items():
                parts.setdefault(name, []).append(column)
    rows = len(value)
    columns: dict[str, object] = {
        "sheet": [*(tap.sheet for tap in taps), MEAN_OVER_TAPS] * rows,
        "tap": [*(tap.name for tap in taps), MEAN_OVER_TAPS] * rows,
        "n_units": [*n_units, sum(n_units)] * rows,
        "statistic": np.repeat(list(value), len(taps) + 1),
    }
    return pd.DataFrame(columns | {name: np.concatenate(arrays) for name, arrays in parts.items()})


def _mean_over_taps(values: np.ndarray) -> np.ndarray:
    """Return the mean over the taps in which a statistic is defined, nan where it is in none."""
    defined = np.isfinite(values)
    n = defined.sum(axis=-1, keepdims=True)
    return np.where(n > 0, np.where(defined, values, 0.0).sum(axis=-1, keepdims=True) / np.maximum(n, 1), np.nan)


def _numbered(names: np.ndarray) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1]
