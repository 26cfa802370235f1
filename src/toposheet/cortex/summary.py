"""The statistics of maps in short: a row for each contrast, tap and readout, and their medians over taps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.statistics import NULL_COLUMNS, topography_statistics
from toposheet.results import Table

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
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how topographic the map of a contrast is, for each tap and readout, with its nulls.

    The short form of `topography_statistics`, which says what the nulls are and has more statistics.

    Args:
        comparison: The comparison.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        seed: Of the draws.

    Returns:
        One row for each tap and readout, columns `contrast, negative_control, sheet, tap, fwhm_mm, n_units,
        significant_fraction` (q < 0.05 over all taps), `morans_i, null_mean, null_sd, z, p` (place-null),
        `label_null_mean, label_null_sd, label_z, label_p, cross_half_i` (nan under 4 items a condition).
        p is one-sided, (1 + b) / (1 + B).

    Raises:
        UserError: a width or a number of permutations is out of range.

    Example:
        ts.map_statistics(ts.Comparison(responses, "sentence", "nonword"))
    """
    return summary_of(topography_statistics(comparison, fwhm_mm=fwhm_mm, permutations=permutations, seed=seed))


def summary_of(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return the short form of a table of `topography_statistics`: a row for each contrast, tap and readout."""
    taps = statistics[statistics["tap"] != ALL_TAPS]
    keys = [name for name in ("model", "contrast", "negative_control", "sheet", "tap", "fwhm_mm") if name in taps]

    def values(statistic: str) -> pd.Series:
        rows = taps[taps["statistic"] == statistic]
        return rows.set_index(keys)["value"].rename(statistic)

    columns = ["n_units", "value", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p"]  # fmt: skip
    table = taps[taps["statistic"] == "morans_i"].set_index(keys)[columns]
    table = table.rename(columns={"value": "morans_i"})
    table.insert(1, "significant_fraction", values("significant_fraction"))
    table = table.join(values("cross_half_i")).reset_index()
    return (SUMMARY.beside(model="text") if "model" in table else SUMMARY).frame(table)


def without_negative_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of contrasts that are of interest in themselves: no negative controls."""
    return table[table["negative_control"] == ""]


def medians(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over taps of a summary, one row for each contrast, negative control, readout and model."""
    columns = ["significant_fraction", "morans_i", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i"]  # fmt: skip
    keys = ["contrast", "negative_control", "fwhm_mm", "model"]
    rows = summary.groupby(keys, sort=False)[columns].median().reset_index()
    order = {name: {value: i for i, value in enumerate(dict.fromkeys(rows[name]))} for name in keys[:3]}
    return rows.sort_values(list(order), key=lambda column: column.map(order[str(column.name)]), kind="stable")


def mean_over_taps(table: pd.DataFrame, by: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return means over taps, with the place-null of the mean: `null_mean` and `null_sd`.

    The places of taps are shuffled independently: the variance of their mean is their mean variance over their number.

    Args:
        table: A row for each tap and value of `by`, with the columns, `null_mean` and `null_sd`.
        by: A column whose values become the index.
        columns: Those of which the mean is wanted.
    """
    groups = table.groupby(by)
    variance = groups["null_sd"].agg(lambda sd: (sd**2).mean() / len(sd))
    return groups[[*columns, "null_mean"]].mean().assign(null_sd=np.sqrt(variance))
