"""Checks of a stimulus set: faults that an analysis refuses, and differences that could mislead an analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from toposheet.stimuli.contrasts import Contrast, check_number, texts_in_conditions, texts_spaced_once
from toposheet.stimuli.dependence import dependence_notes, dependent_stimuli, few_items_note
from toposheet.stimuli.labels import check_capitals
from toposheet.stimuli.measures import SHARED_WORDS, matching
from toposheet.stimuli.naming import check_column, labels, row_name, source_name
from toposheet.wording import equals_p

_CONFOUNDS = {"letters": "length", "Zipf frequency": "frequency", "tokens": "tokens"}
"""The confound that removes the difference in a measure of `matching`."""


def check(
    stimuli: pd.DataFrame,
    count_tokens: Callable[[str], int] | None = None,
    contrasts: Sequence[Contrast] = (),
    groups: str | None = SHARED_WORDS,
) -> list[str]:
    """Return notes about a set that a user should read before an analysis. Without problems the list is empty.

    Args:
        stimuli: A table with the columns `text` and `condition`.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not compared.
        contrasts: The contrasts in which the texts will be compared. None are given: all conditions are compared.
        groups: Name of the column that defines groups of dependent texts. None: all texts are independent.

    Raises:
        UserError: A column is missing, a condition has fewer than 3 texts, or the names of two conditions differ only
            in capital letters. Analyses refuse such a set.
    """
    source, notes = source_name(stimuli), []
    check_column(stimuli, "text")
    stimuli = stimuli.assign(condition=labels(stimuli, "condition"))
    counts = stimuli["condition"].value_counts()
    for condition, n_texts in counts.items():
        check_number(n_texts, repr(condition), source)
    if len(counts) == 1:
        notes.append(
            f"the set has one condition, {counts.index[0]!r}: an analysis compares two conditions, so add a second one"
        )
    check_capitals(counts.index.tolist(), "condition", source)
    notes += _shared_groups(stimuli)
    if n := sum(text.strip() != text for text in stimuli["text"].astype(str).tolist()):
        texts_begin = "1 text begins or ends" if n == 1 else f"{n} texts begin or end"
        notes.append(f"{texts_begin} with a space, and the model reads this space")
    for text, positions in texts_in_conditions(stimuli, stimuli["condition"].tolist()).items():
        rows = ", ".join(row_name(stimuli, position) for position in positions.values())
        notes.append(
            f"{rows}: the text {text[:60]!r} is in {_refused(positions)}. Remove it from all but one condition"
        )
    repeated = stimuli.assign(text=texts_spaced_once(stimuli)).duplicated(["text", "condition"]).to_numpy()
    if n := int(repeated.sum()):
        texts_repeat = "1 text repeats" if n == 1 else f"{n} texts repeat"
        first = row_name(stimuli, int(repeated.argmax()))
        notes.append(f"{texts_repeat} an earlier text of the same condition; the first of them is {first}")
    for name, texts in [(f"{c.name}: ", c.compared(stimuli)) for c in contrasts] or [("", stimuli)]:
        notes += [f"{name}{note}" for note in (*dependence_notes(texts, groups), _few_items(texts, groups)) if note]
        for row in matching(texts, count_tokens).to_dict("records"):
            if row["p"] < 0.05:
                differ = f"{name}the conditions differ in {row['measure']} ({equals_p(row['p'])})"
                notes.append(f"{differ}: {_remedy(row['measure'])}")
    return notes


def _few_items(stimuli: pd.DataFrame, groups: str | None) -> str:
    """Return the note on conditions with few texts, or with few groups if the texts have groups."""
    numbers = dependent_stimuli(stimuli, groups)
    items = stimuli.assign(item=range(len(stimuli)) if numbers is None else numbers)
    counts = items.groupby("condition", sort=False)["item"].nunique()
    return few_items_note({str(name): int(n) for name, n in counts.items()}, "texts" if numbers is None else "groups")


def _remedy(measure: str) -> str:
    """Return what to do if conditions differ in a measure."""
    if measure in _CONFOUNDS:
        return f"remove this difference with --confounds {_CONFOUNDS[measure]}, or compare with the negative controls"
    return "no confound removes this difference, so compare with the negative controls"


def _shared_groups(stimuli: pd.DataFrame) -> list[str]:
    """Return a note for each value of `shared_words` in more than one condition. Contrasts refuse such values."""
    if SHARED_WORDS not in stimuli:
        return []
    values, conditions = labels(stimuli, SHARED_WORDS), stimuli["condition"].to_numpy()
    values[stimuli[SHARED_WORDS].isna().to_numpy()] = ""  # a text without a value is in no group
    notes = []
    for value in dict.fromkeys(values.tolist()):
        distinct = list(dict.fromkeys(conditions[values == value].tolist()))
        if len(distinct) > 1 and value:
            rows = ", ".join(row_name(stimuli, position) for position in (values == value).nonzero()[0].tolist())
            notes.append(
                f"{rows}: the {SHARED_WORDS} {value!r} is in {_refused(distinct)}. Use different values in different "
                "conditions"
            )
    return notes


def _refused(conditions: Iterable[str]) -> str:
    """Return the end of a note about something that no two conditions of a contrast may share."""
    named = list(conditions)
    two = "these two" if len(named) == 2 else "two of these"
    return f"the conditions {' and '.join(map(repr, named))}, and a contrast of {two} conditions is refused"
