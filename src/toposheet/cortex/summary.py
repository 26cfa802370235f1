"""Short tables of map statistics: a row for each contrast, tap and readout, and medians over taps."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.statistics import NULL_COLUMNS, topography_statistics
from toposheet.progress import Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS

SUMMARY = Table(
    "summary.csv",
    {"contrast": "text", "negative_control": "text", "sheet": "text", "tap": "text", "fwhm_mm": "number",
     "n_units": "count", "significant_fraction": "number", "morans_i": "number",
     **{name: kind for name, kind in NULL_COLUMNS.items() if not name.endswith("undefined")},
     "cross_half_i": "number"},
    "the map of a contrast, in one tap and readout",
)  # fmt: skip


def map_statistics(
    comparison: Comparison,
    *,
    fwhm_mm: float | Sequence[float] = (0.0, 2.0),
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    weights: str = "binary",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how topographic the map of a contrast is, for each tap and readout, with two nulls.

    This is the short form of `topography_statistics`. That function explains the two nulls and has more statistics.

    Args:
        comparison: The raw comparison.
        fwhm_mm: One width or several widths of readouts, in mm; 0 is raw.
        permutations: Number of draws of each null.
        seed: Seed of the draws.
        weights: Weights of neighbours in `morans_i`: `"binary"`, or `"row"` for row-standardised weights.
        progress: A function that is called with the number of draws done so far. None: no calls.

    Returns:
        A row for each tap and readout, and for each sheet with several taps (tap `*`), with the columns `contrast,
        negative_control, sheet, tap, fwhm_mm, n_units`, then `significant_fraction` (fraction of units with q < 0.05
        over all taps), `morans_i`, `null_mean, null_sd, z, p` (Moran's I against the place-null), `label_null_mean,
        label_null_sd, label_z, label_p` (Moran's I against the label-null) and `cross_half_i` (nan with fewer than 4
        texts in a condition). p is one-sided: (1 + b) / (1 + B).

    Raises:
        UserError: The comparison is a readout, a width, the seed or the number of permutations is out of range, or the
            weights are unknown.

    Example:
        ts.map_statistics(ts.Comparison(responses, "sentence", "nonword"))
    """
    statistics = topography_statistics(
        comparison, fwhm_mm=fwhm_mm, permutations=permutations, seed=seed, weights=weights, progress=progress
    )
    return summary_of(statistics)


def summary_of(statistics: pd.DataFrame, with_mean: bool = False) -> pd.DataFrame:
    """Return the short form of a table of `topography_statistics`: a row for each contrast, tap and readout.

    A sheet with several taps has a row too, with the tap `*`.

    Args:
        statistics: The table, also of several models (column `model`).
        with_mean: Whether the mean over taps (sheet and tap `*`) has a row too.
    """
    kept = statistics if with_mean else statistics[statistics["sheet"] != ALL_TAPS]
    keys = [name for name in ("model", "contrast", "negative_control", "sheet", "tap", "fwhm_mm") if name in kept]

    def values(statistic: str) -> pd.Series:
        rows = kept[kept["statistic"] == statistic]
        return rows.set_index(keys)["value"].rename(statistic)

    columns = ["n_units", "value", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p"]  # fmt: skip
    table = kept[kept["statistic"] == "morans_i"].set_index(keys)[columns]
    table = table.rename(columns={"value": "morans_i"})
    table.insert(1, "significant_fraction", values("significant_fraction"))
    table = table.join(values("cross_half_i")).reset_index()
    return (SUMMARY.beside(model="text") if "model" in table else SUMMARY).frame(table)


def without_negative_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that belong to contrasts, without the rows of negative controls."""
    return table[table["negative_control"] == ""]


def of_taps(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that belong to one tap, without those of whole sheets and of the mean over taps."""
    return table[table["tap"] != ALL_TAPS]


def of_sheets(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that belong to a sheet with several taps."""
    return table[(table["tap"] == ALL_TAPS) & (table["sheet"] != ALL_TAPS)]


def raw_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that belong to raw maps, without the rows of readouts."""
    return table[table["fwhm_mm"] == 0]


def n_significant(fraction: pd.Series, n_units: pd.Series) -> int:
    """Return the number of significant units of several taps together.

    Args:
        fraction: The fraction of significant units of each tap.
        n_units: The number of units of each tap.
    """
    return round(float((fraction * n_units).sum()))


def medians(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over taps: a row for each contrast, negative control, readout and model.

    Args:
        summary: A table of `summary_of`, with the column `model`.
    """
    columns = ["significant_fraction", "morans_i", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i"]  # fmt: skip
    keys = ["contrast", "negative_control", "fwhm_mm", "model"]
    rows = of_taps(summary).groupby(keys, sort=False)[columns].median().reset_index()
    order = {name: {value: i for i, value in enumerate(dict.fromkeys(rows[name]))} for name in keys[:3]}
    return rows.sort_values(list(order), key=lambda column: column.map(order[str(column.name)]), kind="stable")
