"""Checks of a stimulus set: faults that an analysis refuses, and differences that could mislead an analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from toposheet.stimuli.confounds import NEARLY, confounds_note, nearly_the_condition_note
from toposheet.stimuli.contrasts import Contrast, check_number, texts_in_conditions
from toposheet.stimuli.dependence import dependence_notes, dependent_stimuli, few_items_note
from toposheet.stimuli.labels import check_capitals
from toposheet.stimuli.measures import SHARED_WORDS, group_means
from toposheet.stimuli.naming import check_column, labels, row_name, source_name
from toposheet.wording import equals_p

_CONFOUNDS = {"letters": "length", "Zipf frequency": "frequency", "tokens": "tokens"}
"""The confound that removes the difference in a measure of `matching`."""


def check(
    stimuli: pd.DataFrame,
    count_tokens: Callable[[str], int] | None = None,
    contrasts: Sequence[Contrast] = (),
    groups: str | None = SHARED_WORDS,
    confounds: Sequence[str] = (),
) -> list[str]:
    """Return notes about a set that a user should read before an analysis. Without problems the list is empty.

    Args:
        stimuli: A table with the columns `text` and `condition`.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not compared.
        contrasts: The contrasts in which the texts will be compared. None are given: all conditions are compared.
        groups: Name of the column that defines groups of dependent texts. None: all texts are independent.
        confounds: The confounds that will be removed from the responses to the texts of the contrasts.

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
    for name, texts in [(f"{c.name}: ", c.compared(stimuli)) for c in contrasts] or [("", stimuli)]:
        notes += [f"{name}{note}" for note in (*dependence_notes(texts, groups), _few_items(texts, groups)) if note]
        n_texts = texts.groupby("condition").size()
        for measure, groups_of_measure in group_means(texts, count_tokens).groupby("measure", sort=False):
            if (p := groups_of_measure["p"].iloc[0]) < 0.05:
                remedy = _remedy(str(measure), _explained(groups_of_measure, n_texts))
                notes.append(f"{name}the conditions differ in {measure} ({equals_p(p)}): {remedy}")
    notes += [
        f"{contrast.name}: {note}"
        for contrast in contrasts
        if (note := nearly_the_condition_note(contrast.compared(stimuli), contrast, confounds))
    ]
    return [*notes, note] if (note := confounds_note(confounds)) else notes


def _few_items(stimuli: pd.DataFrame, groups: str | None) -> str:
    """Return the note on conditions with few texts, or with few groups if the texts have groups."""
    numbers = dependent_stimuli(stimuli, groups)
    items = stimuli.assign(item=range(len(stimuli)) if numbers is None else numbers)
    counts = items.groupby("condition", sort=False)["item"].nunique()
    return few_items_note({str(name): int(n) for name, n in counts.items()}, "texts" if numbers is None else "groups")


def _explained(measure: pd.DataFrame, n_texts: pd.Series) -> float:
    """Return the fraction of the variance of a measure that lies between the conditions (R^2 of two conditions).

    Args:
        measure: The rows of a measure from `group_means`.
        n_texts: The number of texts of each condition.
    """
    n = n_texts[measure["group"]].to_numpy()
    mean, sd = measure["mean"].to_numpy(), measure["sd"].to_numpy()
    between = (n * (mean - np.average(mean, weights=n)) ** 2).sum()
    return float(between / (between + ((n - 1) * sd**2).sum()))


def _remedy(measure: str, explained: float) -> str:
    """Return what to do if conditions differ in a measure.

    Args:
        measure: The measure.
        explained: R^2 of the condition on the measure.
    """
    if explained >= NEARLY:
        return (
            f"the conditions explain {int(100 * explained)}% of this measure, so no regression can separate it from "
            "the condition: use texts that are matched in it, or compare with the negative controls"
        )
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
