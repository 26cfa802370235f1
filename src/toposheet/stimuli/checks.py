"""What an analysis would refuse in a stimulus set, and what could mislead it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from toposheet.stimuli.contrasts import check_number
from toposheet.stimuli.measures import matching


def check(stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None) -> list[str]:
    """Return what a user should know of a set before analysing it; nothing where all is well.

    Args:
        stimuli: A table with columns `text` and `condition`.
        count_tokens: Returns how many tokens a model makes of a text.

    Raises:
        UserError: an analysis would refuse the set: a condition has fewer than 3 texts.
    """
    source, notes = stimuli.attrs.get("source", "the stimulus set"), []
    for condition, n_texts in stimuli["condition"].value_counts().items():
        check_number(n_texts, repr(condition), source)
    texts = stimuli["text"].str.split().str.join(" ")
    conditions_of = stimuli.groupby(texts)["condition"].nunique()
    for text in conditions_of.index[conditions_of > 1].tolist():
        rows = [row + 2 for row in stimuli.index[texts == text].tolist()]
        notes.append(f"rows {', '.join(map(str, rows))}: the text {text[:60]!r} is in several conditions")
    repeated = stimuli.assign(text=texts).duplicated(["text", "condition"])
    if repeated.any():
        n = int(repeated.sum())
        texts_stand = "1 text stands" if n == 1 else f"{n} texts stand"
        notes.append(f"{texts_stand} in a condition more than once, e.g. row {stimuli.index[repeated][0] + 2}")
    for row in matching(stimuli, count_tokens).to_dict("records"):
        if row["p"] < 0.05:
            differ = f"conditions differ in {row['measure']} (p = {row['p']:.2g})"
            notes.append(f"{differ}: take it out with --confounds, or look at the negative controls")
    return notes
