"""Does a contrast make a map? Statistics of its topography beside what chance, noise and reliability say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.draws import UnitMaps, label_draws, place_draws, unit_maps
from toposheet.cortex.layout import ALL_TAPS, TapLayout
from toposheet.cortex.map_statistics import MAP_STATISTICS, MapStatistic, TapMaps
from toposheet.results import Kind, Table
from toposheet.settings import MIN_SIZE, check_permutations
from toposheet.stats import against_null

NULL_COLUMNS: dict[str, Kind] = dict.fromkeys(
    ("null_mean", "null_sd", "z", "p", "undefined",
     "label_null_mean", "label_null_sd", "label_z", "label_p", "label_undefined"), "number",
)  # fmt: skip
STATISTICS = Table(
    "statistics.csv",
    {"contrast": "text", "negative_control": "text", "sheet": "text", "tap": "text", "fwhm_mm": "number",
     "n_units": "count", "statistic": "text", "value": "number", **NULL_COLUMNS},
    "a statistic of the map of a contrast, in one tap and readout",
)  # fmt: skip


def topography_statistics(
    comparison: Comparison,
    *,
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
    Texts of a group keep one label and are in one half. The effect itself is part of what labels dealt anew make noise
    of.

    `statistic` is one of

    - `morans_i`: spatial autocorrelation of t (`morans_i`, queen contiguity, nothing thresholded);
    - `cross_half_i`: bivariate Moran's I between the maps of the even and of the odd items of each
      condition: how much of the map comes back (nan under 4 items a condition). Its test is the label-null; the
      place-null, here too, only asks of places;
    - `islands_i`: Moran's I of the significant units alone; nan, and counted in `undefined`, where under 10 %
      or 30 units of a tap are significant;
    - `significant_fraction`: units with q < 0.05, Benjamini-Hochberg over all taps jointly;
    - `clusters`: clusters of adjacent significant units of one sign, of either sign;
    - `largest_cluster`: units of the largest;
    - and whatever was added to `cortex.map_statistics.MAP_STATISTICS`.

    Args:
        comparison: The comparison.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        seed: Of the draws. All readouts share the draws.
        contiguity: Of `clusters` and `largest_cluster`, `"queen"` or `"rook"`; Moran's I takes queens.
        min_size: Units of the smallest cluster that `clusters` counts.

    Returns:
        A row for each statistic, readout and tap, and for the mean over taps (tap `*`), whose nulls are means over
        taps of the same draws. Columns `contrast, negative_control, sheet, tap, fwhm_mm, n_units, statistic, value`,
        then `null_mean, null_sd, z, p, undefined` of the place-null and the same with `label_` of the label-null.
        p is one-sided, (1 + b) / (1 + B), of values as large as this; `undefined` is the share of draws in which
        the statistic is nan.

    Raises:
        UserError: a width or a number of permutations is out of range.
    """
    check_permutations(permutations)
    taps, clustering = comparison.layouts, (contiguity, min_size)
    tables = []
    for fwhm in fwhm_mm:
        for_labels, for_places = np.random.default_rng(seed).spawn(2)
        seen = comparison.readout(fwhm)
        value = _statistics(unit_maps(seen), taps, *clustering)
        place = _collected(place_draws(seen, permutations, for_places), taps, *clustering)
        label = _collected(label_draws(seen, permutations, for_labels), taps, *clustering)
        table = statistics_table(value, place, label, taps)
        tables.append(table.assign(contrast=comparison.name, fwhm_mm=float(fwhm)))
    table = pd.concat(tables, ignore_index=True).assign(negative_control=comparison.negative_control)
    return STATISTICS.frame(table)


def _statistics(
    maps: UnitMaps, taps: Sequence[TapLayout], contiguity: str, min_size: int
) -> dict[str, Float[np.ndarray, "*draws taps"]]:
    """Return each statistic over (..., taps)."""
    entries: list[tuple[str, MapStatistic]] = sorted(MAP_STATISTICS.items(), key=lambda item: item[1].place)
    columns = []
    for tap in taps:
        t, q, even, odd = (tap.map(values) for values in (maps.t, maps.q, maps.even, maps.odd))
        tap_maps = TapMaps(t, q, even, odd, q < SIGNIFICANT, contiguity, min_size)
        columns.append([entry.values(tap_maps) for _, entry in entries])
    return {name: np.stack([column[n] for column in columns], axis=-1) for n, (name, _) in enumerate(entries)}


def _collected(
    draws: Iterable[UnitMaps], taps: Sequence[TapLayout], contiguity: str, min_size: int
) -> dict[str, Float[np.ndarray, "draws taps"]]:
    """Return each statistic over (draws, taps)."""
    parts = [_statistics(maps, taps, contiguity, min_size) for maps in draws]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def statistics_table(
    value: Mapping[str, Float[np.ndarray, " taps"]],
    place: Mapping[str, Float[np.ndarray, "draws taps"]],
    label: Mapping[str, Float[np.ndarray, "draws taps"]],
    taps: Sequence[TapLayout],
    smaller_is_topographic: Sequence[str] = (),
) -> pd.DataFrame:
    """Return statistics beside their nulls, a row for each tap and one for the mean over taps.

    Args:
        value: Each statistic.
        place: Its draws under the place-null.
        label: Its draws under the label-null.
        taps: The taps.
        smaller_is_topographic: Statistics of which small values are the extreme ones.
    """
    n_units = [len(tap.units) for tap in taps]
    parts: dict[str, list[np.ndarray]] = {}
    for statistic, values in value.items():
        larger = statistic not in smaller_is_topographic
        for over in (lambda x: x, _mean_over_taps):
            row = {"value": over(values)}
            for prefix, draws in (("", place), ("label_", label)):
                null = against_null(over(values), over(draws[statistic]), larger)
                row |= null.columns(prefix) | {f"{prefix}undefined": null.undefined}
            for name, column in row.items():
                parts.setdefault(name, []).append(column)
    n = len(value)
    columns: dict[str, object] = {
        "sheet": [*(tap.sheet for tap in taps), ALL_TAPS] * n,
        "tap": [*(tap.name for tap in taps), ALL_TAPS] * n,
        "n_units": [*n_units, sum(n_units)] * n,
        "statistic": np.repeat(list(value), len(taps) + 1),
    }
    return pd.DataFrame(columns | {name: np.concatenate(arrays) for name, arrays in parts.items()})


def _mean_over_taps(values: Float[np.ndarray, "*draws taps"]) -> Float[np.ndarray, "*draws 1"]:
    """Return the mean over the taps in which a statistic is defined, nan where it is in none."""
    defined = np.isfinite(values)
    n = defined.sum(axis=-1, keepdims=True)
    return np.where(n > 0, np.where(defined, values, 0.0).sum(axis=-1, keepdims=True) / np.maximum(n, 1), np.nan)
