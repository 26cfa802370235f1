"""The table of a synthetic set. Texts of different conditions that belong together have the same item number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd


def item_table(texts: Mapping[str, Sequence[str]], paired: Sequence[str] = ()) -> pd.DataFrame:
    """Return the texts of each condition as the table of a synthetic set.

    Args:
        texts: The texts of each condition. The first texts of all conditions are item 0, the second texts item 1, ...
        paired: The two conditions in which the texts of an item are a pair: one text is made from the other, or both
            are chosen together.

    Returns:
        A table with the columns `text`, `condition`, `item` (0, 1, ...), `pair` (such as `sentence 0`, the same for
        both texts of a pair; empty for a text without a partner) and `synthetic` (True). All texts of the first
        condition come first, then all texts of the second condition, and so on.
    """
    rows = [
        (text, condition, item, f"{paired[0]} {item}" if condition in paired else "")
        for condition, condition_texts in texts.items()
        for item, text in enumerate(condition_texts)
    ]
    return pd.DataFrame(rows, columns=["text", "condition", "item", "pair"]).assign(synthetic=True)
