"""What an analysis would refuse in a stimulus set, and what could mislead it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from toposheet.errors import UserError
from toposheet.stimuli.contrasts import MIN_TEXTS
from toposheet.stimuli.measures import matching


def check(
    stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None, context: int | None = None
) -> list[str]:
    """Return what a user should know of a set before analysing it; nothing where all is well.

    Args:
        stimuli: A table with columns `text` and `condition`.
        count_tokens: Returns how many tokens a model makes of a text.
        context: How many it reads at most.

    Raises:
        UserError: an analysis would refuse the set: a condition with fewer than 3 texts, or a text longer than the
            model's context; names file and row.
    """
    source, notes = stimuli.attrs.get("source", "the stimuli"), []
    counts = stimuli["condition"].value_counts()
    if (counts < MIN_TEXTS).any():
        name = str(counts.index[counts < MIN_TEXTS][0])
        raise UserError(f"{source} has {counts[name]} texts of the condition {name!r}: a contrast needs {MIN_TEXTS}")
    if count_tokens is not None and context is not None:
        for row, text in zip(stimuli.index.tolist(), stimuli["text"], strict=True):
            if (n := count_tokens(text)) > context:
                raise UserError(f"{source}, row {row + 2} has {n} tokens, the model reads at most {context}")
    texts = stimuli["text"].str.split().str.join(" ")
    conditions_of = stimuli.groupby(texts)["condition"].nunique()
    for text in conditions_of.index[conditions_of > 1].tolist():
        rows = [row + 2 for row in stimuli.index[texts == text].tolist()]
        notes.append(f"rows {', '.join(map(str, rows))}: the text {text[:60]!r} is in several conditions")
    repeated = stimuli.assign(text=texts).duplicated(["text", "condition"])
    if repeated.any():
        notes.append(f"{int(repeated.sum())} texts stand in their condition more than once, e.g. row "
                     f"{stimuli.index[repeated][0] + 2}")  # fmt: skip
    for row in matching(stimuli, count_tokens).to_dict("records"):
        if row["p"] < 0.05:
            differ = f"conditions differ in {row['measure']} (p = {row['p']:.2g})"
            notes.append(f"{differ}: take it out with --confounds, or look at the negative controls")
    return notes
