"""What an analysis would refuse in a stimulus set, and what could mislead it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from toposheet.stimuli.contrasts import check_number
from toposheet.stimuli.labels import check_capitals, plain_label
from toposheet.stimuli.measures import SHARED_WORDS, matching


def check(stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None) -> list[str]:
    """Return what a user should know of a set before analysing it; nothing where all is well.

    Args:
        stimuli: A table with columns `text` and `condition`.
        count_tokens: Returns how many tokens a model makes of a text.

    Raises:
        UserError: an analysis would refuse the set: a condition has fewer than 3 texts, or two conditions differ only
            in capitals.
    """
    source, notes = stimuli.attrs.get("source", "the stimulus set"), []
    counts = stimuli["condition"].value_counts()
    for condition, n_texts in counts.items():
        check_number(n_texts, repr(condition), source)
    if len(counts) == 1:
        notes.append(
            f"the set has one condition, {counts.index[0]!r}: an analysis needs a second one to compare it with"
        )
    check_capitals(counts.index.astype(str).tolist(), "condition", source)
    notes += _shared_groups(stimuli)
    if n := int((stimuli["text"].str.strip() != stimuli["text"]).sum()):
        texts_begin = "1 text begins or ends" if n == 1 else f"{n} texts begin or end"
        notes.append(f"{texts_begin} with a space, which the model reads")
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


def _shared_groups(stimuli: pd.DataFrame) -> list[str]:
    """Return a note for each value of `shared_words` that stands in several conditions, which no contrast takes."""
    if SHARED_WORDS not in stimuli:
        return []
    values = stimuli[SHARED_WORDS].map(plain_label)
    conditions_of = stimuli["condition"].groupby(values).unique()
    notes = []
    for value, conditions in conditions_of.items():
        if len(conditions) > 1 and value:
            rows = ", ".join(str(row + 2) for row in stimuli.index[values == value].tolist())
            labels = " and ".join(map(repr, conditions))
            notes.append(
                f"rows {rows} have the {SHARED_WORDS} {value!r} in the conditions {labels}: a contrast of these is "
                "refused; give each condition values of its own"
            )
    return notes
