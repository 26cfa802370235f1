"""Texts of several conditions, made item by item, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd


def item_table(texts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the texts of each condition as the table of a synthetic set.

    Args:
        texts: For each condition its texts; those at one place in their conditions are one item.

    Returns:
        Columns `text`, `condition`, `item` (0, 1, ...) and `synthetic` (True), condition after condition.
    """
    rows = [
        (text, condition, item)
        for condition, condition_texts in texts.items()
        for item, text in enumerate(condition_texts)
    ]
    return pd.DataFrame(rows, columns=["text", "condition", "item"]).assign(synthetic=True)
