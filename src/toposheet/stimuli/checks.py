"""Checks of a stimulus set: faults that an analysis refuses, and differences that could mislead an analysis."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from toposheet.stimuli.contrasts import check_number
from toposheet.stimuli.labels import check_capitals, plain_label
from toposheet.stimuli.measures import SHARED_WORDS, matching


def check(stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None) -> list[str]:
    """Return notes about a set that a user should read before an analysis. Without problems the list is empty.

    Args:
        stimuli: A table with the columns `text` and `condition`.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not compared.

    Raises:
        UserError: A condition has fewer than 3 texts, or the names of two conditions differ only in capital letters.
            Analyses refuse such a set.
    """
    source, notes = stimuli.attrs.get("source", "the stimulus set"), []
    counts = stimuli["condition"].value_counts()
    for condition, n_texts in counts.items():
        check_number(n_texts, repr(condition), source)
    if len(counts) == 1:
        notes.append(
            f"the set has one condition, {counts.index[0]!r}: an analysis compares two conditions, so add a second one"
        )
    check_capitals(counts.index.astype(str).tolist(), "condition", source)
    notes += _shared_groups(stimuli)
    if n := int((stimuli["text"].str.strip() != stimuli["text"]).sum()):
        texts_begin = "1 text begins or ends" if n == 1 else f"{n} texts begin or end"
        notes.append(f"{texts_begin} with a space, and the model reads this space")
    texts = stimuli["text"].str.split().str.join(" ")
    conditions_of = stimuli.groupby(texts)["condition"].nunique()
    for text in conditions_of.index[conditions_of > 1].tolist():
        rows = [row + 2 for row in stimuli.index[texts == text].tolist()]
        notes.append(f"rows {', '.join(map(str, rows))}: the text {text[:60]!r} is in more than one condition")
    repeated = stimuli.assign(text=texts).duplicated(["text", "condition"])
    if repeated.any():
        n = int(repeated.sum())
        texts_repeat = "1 text repeats" if n == 1 else f"{n} texts repeat"
        first = stimuli.index[repeated][0] + 2
        notes.append(f"{texts_repeat} an earlier text of the same condition; the first of them is in row {first}")
    for row in matching(stimuli, count_tokens).to_dict("records"):
        if row["p"] < 0.05:
            differ = f"the conditions differ in {row['measure']} (p = {row['p']:.2g})"
            notes.append(f"{differ}: remove this difference with --confounds, or compare with the negative controls")
    return notes


def _shared_groups(stimuli: pd.DataFrame) -> list[str]:
    """Return a note for each value of `shared_words` in more than one condition. Contrasts refuse such values."""
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
                f"rows {rows} have the {SHARED_WORDS} {value!r} in the conditions {labels}: a contrast between these "
                "conditions is refused. Use different values in different conditions"
            )
    return notes
