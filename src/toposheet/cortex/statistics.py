"""Statistics of the maps of a contrast, each compared with shuffled places and with shuffled labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.draws import UnitMaps, label_draws, place_draws, unit_maps
from toposheet.cortex.layout import TapLayout, mean_over_taps, row_names, with_mean
from toposheet.cortex.map_statistics import MAP_STATISTICS, MapStatistic, TapMaps
from toposheet.cortex.readout import check_raw
from toposheet.cortex.split_halves import split_halves
from toposheet.progress import Progress, part_of
from toposheet.results import Kind, Table
from toposheet.settings import (
    MIN_SIZE,
    PERMUTATIONS,
    check_min_size,
    check_permutations,
    check_seed,
    check_weights,
    readouts_of,
)
from toposheet.stats import against_null, morans_i
from toposheet.wording import readout_name

NULL_COLUMNS: dict[str, Kind] = dict.fromkeys(
    ("null_mean", "null_sd", "z", "p", "undefined",
     "label_null_mean", "label_null_sd", "label_z", "label_p", "label_undefined"), "number",
)  # fmt: skip
STATISTICS = Table(
    "statistics.csv",
    {"contrast": "text", "negative_control": "text", "sheet": "text", "tap": "text", "fwhm_mm": "number",
     "n_units": "count", "statistic": "text", "value": "number", "low": "number", "high": "number", **NULL_COLUMNS},
    "a statistic of the map of a contrast, in one tap and readout",
)  # fmt: skip


def topography_statistics(
    comparison: Comparison,
    *,
    fwhm_mm: float | Sequence[float] = (0.0, 2.0),
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    contiguity: str = "queen",
    min_size: int = MIN_SIZE,
    weights: str = "binary",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return every statistic of the map of a contrast, for each tap and readout, with two nulls.

    The two nulls answer two questions:

    - *Place-null*: the units of a tap are shuffled among their cells, before the readout. Question: does the map depend
      on the places of the units? On a sheet with several taps, units stay among the cells of their tap, because taps
      differ in their mean, and a border between two taps is no topography.
    - *Label-null*: the labels of the texts are shuffled. Question: does the map depend on the contrast? Noise is smooth
      in a topographic model, so a contrast without effect also gives a smooth map.

    A selective map need not be smoother than a map of noise. Whether a map is selective is shown by
    `significant_fraction`, not by `morans_i`. Shuffling the labels does not remove an effect from the responses. The
    effect becomes part of their variance, so a strong effect widens the label-null. Texts of a group keep one label.

    The column `statistic` is one of:

    - `morans_i`: spatial autocorrelation of t over all units of a tap (`morans_i`, queen contiguity).
    - `cross_half_i`, `half_correlation`, `ceiling`: how much of the map comes back in other texts (`split_halves`).
      They describe the map: they have a range over splits (`low, high`) and the mean and sd of a null, but no p.
    - `islands_i`: Moran's I of the significant units alone. It is nan where fewer than 10 % of the units of a tap, or
      fewer than 30, are significant. The column `undefined` gives the fraction of draws with nan.
    - `significant_fraction`: fraction of units with q < 0.05 (Benjamini-Hochberg over all taps together). Silent units
      count as not significant.
    - `clusters`: number of clusters of adjacent significant units. A cluster has units of one sign; clusters of both
      signs count.
    - `largest_cluster`: number of units of the largest cluster.
    - any statistic that was added to `cortex.map_statistics.MAP_STATISTICS`.

    Args:
        comparison: The raw comparison.
        fwhm_mm: One width or several widths of readouts, in mm; 0 is raw.
        permutations: Number of draws of each null.
        seed: Seed of the draws. All readouts use the same draws.
        contiguity: Which cells are neighbours in `clusters` and `largest_cluster`: `"queen"` or `"rook"`. Moran's I
            always uses queen contiguity.
        min_size: Number of units of the smallest cluster that `clusters` counts.
        weights: Weights of neighbours in `morans_i`: `"binary"`, or `"row"` for row-standardised weights as in TopoLM's
            published numbers. The other statistics always have binary weights.
        progress: A function that is called with the number of draws done so far. None: no calls.

    Returns:
        A row for each statistic, readout and tap; a row with the tap `*` for each sheet with several taps, whose map
        has the units of all its taps; and a row with the sheet `*` and the tap `*` for the mean over taps. The null of
        this mean is the mean over taps in the same draws. The first columns are `contrast, negative_control, sheet,
        tap, fwhm_mm, n_units, statistic, value, low, high`. The columns `null_mean, null_sd, z, p, undefined` belong to
        the place-null; the same columns with the prefix `label_` belong to the label-null. p is one-sided: (1 + b) /
        (1 + B), where b of B draws have a value at least as large. `undefined` is the fraction of draws in which the
        statistic is nan.

    Raises:
        UserError: The comparison is a readout, a width, the seed, `min_size` or the number of permutations is out of
            range, or the weights are unknown.
    """
    check_comparison(comparison)
    check_raw(comparison, "fwhm_mm=({},)")
    check_permutations(permutations)
    check_seed(seed)
    check_min_size(min_size)
    check_weights(weights)
    layouts, rules, readouts = comparison.map_layouts, (contiguity, min_size, weights), readouts_of(fwhm_mm)
    tables = []
    for number, fwhm in enumerate(readouts):
        tell_place, tell_label = (
            part_of(progress, 2 * number + second, 2 * len(readouts), f"{readout_name(fwhm)}, {null}")
            for second, null in enumerate(("place-null", "label-null"))
        )
        for_labels, for_places = np.random.default_rng(seed).spawn(2)
        readout = comparison.readout(fwhm)
        value = _statistics(unit_maps(readout), layouts, *rules)
        place = _collected(place_draws(readout, permutations, for_places), permutations, layouts, *rules, tell_place)
        label = _collected(label_draws(readout, permutations, for_labels), permutations, layouts, *rules, tell_label)
        table = statistics_table(value, place, label, layouts)
        if comparison.mixes_texts:
            table["label_p"] = np.nan
        halves = split_halves(readout, null=not comparison.negative_control, seed=seed)
        numbers = table.drop_duplicates(["sheet", "tap"])[["sheet", "tap", "n_units"]]
        table = pd.concat([table, halves.merge(numbers, on=["sheet", "tap"])], ignore_index=True)
        tables.append(table.assign(contrast=comparison.name, fwhm_mm=fwhm))
    table = pd.concat(tables, ignore_index=True).assign(negative_control=comparison.negative_control)
    return STATISTICS.frame(table)


def _statistics(
    maps: UnitMaps, layouts: Sequence[TapLayout], contiguity: str, min_size: int, weights: str
) -> dict[str, Float[np.ndarray, "*draws layouts"]]:
    """Return each statistic for each tap and each sheet with several taps: {statistic: (..., layouts)}."""
    entries: list[tuple[str, MapStatistic]] = sorted(MAP_STATISTICS.items(), key=lambda item: item[1].position)
    columns, significant = [], maps.q < SIGNIFICANT
    for layout in layouts:
        t, q = layout.map(maps.t), layout.map(maps.q, "smallest")
        standardised = layout.map(layout.standardised(maps.t)) if layout.is_sheet else t
        n_positive, n_negative = (layout.map(significant & (sign * maps.t > 0), "sum") for sign in (1, -1))
        n_significant = np.asarray(significant[..., layout.units].sum(-1))
        tap_maps = TapMaps(
            t, standardised, q, n_positive, n_negative, n_significant, len(layout.units), contiguity, min_size, weights
        )
        columns.append([entry.values(tap_maps) for _, entry in entries])
    return {name: np.stack([column[n] for column in columns], axis=-1) for n, (name, _) in enumerate(entries)}


def mean_morans_i(comparison: Comparison, weights: str = "binary") -> float:
    """Return Moran's I of the map of a comparison, raw or with readout, as the mean over taps, without nulls.

    Args:
        comparison: The comparison.
        weights: Weights of neighbours: `"binary"`, or `"row"` for row-standardised weights.
    """
    values = [morans_i(tap.map(comparison.t.values), weights=weights) for tap in comparison.layouts]
    return float(mean_over_taps(np.array(values))[0])


def _collected(
    draws: Iterable[UnitMaps],
    permutations: int,
    layouts: Sequence[TapLayout],
    contiguity: str,
    min_size: int,
    weights: str,
    progress: Progress,
) -> dict[str, Float[np.ndarray, "draws layouts"]]:
    """Return each statistic for each draw, and each tap or sheet: {statistic: (draws, layouts)}."""
    parts, done = [], 0
    progress("draw", 0, permutations)
    for maps in draws:
        parts.append(_statistics(maps, layouts, contiguity, min_size, weights))
        done += len(maps.t)
        progress("draw", done, permutations)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def statistics_table(
    value: Mapping[str, Float[np.ndarray, " layouts"]],
    place: Mapping[str, Float[np.ndarray, "draws layouts"]],
    label: Mapping[str, Float[np.ndarray, "draws layouts"]],
    layouts: Sequence[TapLayout],
    smaller_is_topographic: Sequence[str] = (),
) -> pd.DataFrame:
    """Return a table of statistics with their nulls.

    It has a row for each tap, for each sheet with several taps (tap `*`), and for the mean over taps (sheet and tap
    `*`).

    Args:
        value: The values of each statistic.
        place: The values of each statistic in the draws of the place-null.
        label: The values of each statistic in the draws of the label-null.
        layouts: The layouts of the taps and sheets.
        smaller_is_topographic: Names of the statistics whose small values are extreme.
    """
    n_units = [len(layout.units) for layout in layouts]
    n_of_taps = sum(len(layout.units) for layout in layouts if not layout.is_sheet)
    parts: dict[str, list[np.ndarray]] = {}
    for statistic, values in value.items():
        larger, rows = statistic not in smaller_is_topographic, with_mean(values, layouts)
        columns = {"value": rows}
        for prefix, draws in (("", place), ("label_", label)):
            null = against_null(rows, with_mean(draws[statistic], layouts), larger)
            columns |= null.columns(prefix) | {f"{prefix}undefined": null.undefined}
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    n = len(value)
    names = {name: labels * n for name, labels in row_names(layouts).items()}
    columns = {
        **names,
        "n_units": [*n_units, n_of_taps] * n,
        "statistic": np.repeat(list(value), len(layouts) + 1),
    }
    return pd.DataFrame(columns | {name: np.concatenate(arrays) for name, arrays in parts.items()})
