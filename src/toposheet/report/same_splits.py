"""Negative controls that divide the same texts in the same way have equal values, and are shown once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toposheet.cortex.summary import raw_rows


def same_splits_as_one(table: pd.DataFrame, statistics: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which negative controls with the same division of the texts share one row.

    Two contrasts of the same texts have the same random labels. A division by length can be equal to a division by word
    frequency. The raw maps of such negative controls are identical, and so are all their statistics. The shared row has
    the names of all contrasts and negative controls, joined by "and".

    Args:
        table: A table with the columns `contrast, negative_control` and `model`.
        statistics: The table of `topography_statistics` of all models, with the column `model`.
    """
    kinds = ["morans_i", "cross_half_i", "significant_fraction"]
    raw = raw_rows(statistics[statistics["statistic"].isin(kinds)])
    same_values: dict[bytes, list[tuple[str, str]]] = {}
    for (contrast, negative_control), rows in raw[raw["negative_control"] != ""].groupby(
        ["contrast", "negative_control"], sort=False
    ):
        in_order = rows.sort_values(["model", "tap", "statistic"])
        values = np.round(in_order["value"].to_numpy(), 12).tobytes()
        same_values.setdefault(values, []).append((str(contrast), str(negative_control)))
    shared_names: dict[tuple[str, str], tuple[str, str] | None] = {}
    for members in same_values.values():
        contrasts, negative_controls = (" and ".join(dict.fromkeys(names)) for names in zip(*members, strict=True))
        shared_names |= dict.fromkeys(members) | {members[0]: (contrasts, negative_controls)}
    keys = zip(table["contrast"], table["negative_control"], strict=True)
    shown = [shared_names.get(key, key) for key in keys]
    kept = table[[key is not None for key in shown]]
    contrasts, negative_controls = zip(*(key for key in shown if key is not None), strict=True)
    return kept.assign(contrast=contrasts, negative_control=negative_controls)
