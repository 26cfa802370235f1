"""Confounds: variables whose effect a regression can remove from a contrast."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from toposheet.errors import UserError, did_you_mean, listed
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.measures import check_word_frequency, text_length, word_frequency
from toposheet.stimuli.naming import check_column, labels, row_name, source_name

CONFOUNDS = ("length", "frequency", "tokens")
"""Confounds that are computed from the texts.

length: number of letters of a text. frequency: mean Zipf frequency of its words. tokens: number of tokens of the text.
"""

N_TOKENS = "n_tokens"
"""Name of the column that holds the number of tokens of each text."""

TEXTS_PER_CONFOUND = 20
"""A contrast needs this number of texts for each confound."""


EXACTLY, NEARLY = 1 - 1e-9, 0.8
"""R^2 of the condition on the confounds. Above the first, confounds are refused; from the second on, there is a note.

An R^2 of 0.8 means that two conditions of one size are 4 standard deviations of the confound apart.
"""


def check_confounds(stimuli: pd.DataFrame, contrast: Contrast, names: Sequence[str]) -> None:
    """Refuse confounds that cannot be removed from a contrast. Only the texts of the contrast are looked at.

    Args:
        stimuli: A table of stimuli.
        contrast: The contrast.
        names: Names from `CONFOUNDS`, or names of numeric columns of the table.

    Raises:
        UserError: The table has no such column, or a column with a name from `CONFOUNDS`. Or the column holds a value
            that is not a finite number (the message names it), or one value for all texts. Or the confounds explain
            the condition exactly, or there are fewer than 20 texts per confound.
        MissingPackage: `frequency` is given, and the package `wordfreq` is not installed.
    """
    if not names:
        return
    in_a, in_b = contrast.masks(stimuli)
    stimuli, distinct = stimuli[in_a | in_b], list(dict.fromkeys(names))
    for name in distinct:
        _check_name(stimuli, name)
    if "frequency" in distinct:
        check_word_frequency()
    if len(stimuli) < TEXTS_PER_CONFOUND * len(distinct):
        n = "is 1 confound" if len(distinct) == 1 else f"are {len(distinct)} confounds"
        raise UserError(
            f"there {n} and {len(stimuli)} texts in {contrast.name}: use at most one confound per "
            f"{TEXTS_PER_CONFOUND} texts"
        )
    known = _known(stimuli, distinct)
    for name in known:
        if np.ptp(confound_values(stimuli, name)) == 0:
            what = f"confound {name!r}" if name in CONFOUNDS else f"column {name!r}"
            raise UserError(
                f"the {what} has one value for all texts of {contrast.name}, so there is nothing to remove: leave it "
                "out"
            )
    check_not_the_condition(stimuli, contrast, in_a[in_a | in_b], known)


def check_not_the_condition(
    stimuli: pd.DataFrame, contrast: Contrast, in_a: Bool[np.ndarray, " stimuli"], names: Sequence[str]
) -> None:
    """Refuse confounds that explain the condition exactly: after their removal, the contrast is rounding error.

    Args:
        stimuli: Texts of the two conditions of a contrast: all of them, or a half.
        contrast: The contrast.
        in_a: True for each text of condition A.
        names: Confounds that `check_confounds` accepts.

    Raises:
        UserError: The R^2 of the condition on the confounds is above 1 - 1e-9.
    """
    if names and condition_explained(stimuli, in_a, names) > EXACTLY:
        tell = "tells" if len(names) == 1 else "together tell"
        raise UserError(
            f"{listed(names)} {tell} the conditions {contrast.a!r} and {contrast.b!r} apart exactly, so nothing of the "
            f"contrast would remain: leave {'it' if len(names) == 1 else 'them'} out of the confounds"
        )


def condition_explained(stimuli: pd.DataFrame, in_a: Bool[np.ndarray, " stimuli"], names: Sequence[str]) -> float:
    """Return the R^2 of a linear regression of the condition on confounds, from 0 to 1.

    Args:
        stimuli: The texts of two conditions.
        in_a: True for each text of one of them.
        names: Confounds that `check_confounds` accepts.
    """
    columns = np.stack([confound_values(stimuli, name) for name in names], axis=1)
    columns, condition = columns - columns.mean(axis=0), in_a - in_a.mean()
    size = np.abs(columns).max(axis=0)
    columns = columns / np.where(size > 0, size, 1)
    left = condition - columns @ np.linalg.lstsq(columns, condition, rcond=None)[0]
    return float(1 - (left @ left) / (condition @ condition))


def nearly_the_condition_note(stimuli: pd.DataFrame, contrast: Contrast, names: Sequence[str]) -> str:
    """Return a note on confounds that explain most of the condition (R^2 of at least 0.8). Empty: they explain less.

    Args:
        stimuli: The texts of both conditions. The column `condition` holds the two labels of the contrast. If it has
            no numbers of tokens, `tokens` is not looked at.
        contrast: The contrast.
        names: Confounds that `check_confounds` accepts.
    """
    known = _known(stimuli, list(dict.fromkeys(names)))
    if not known:
        return ""
    explained = condition_explained(stimuli, (labels(stimuli, "condition") == contrast.a), known)
    if explained < NEARLY:
        return ""
    explain = "explains" if len(known) == 1 else "explain"
    return (
        f"{listed(known)} {explain} {int(100 * explained)}% of the condition, so little of the contrast remains after "
        "the regression: finding no significant unit is then no evidence against an effect"
    )


def _known(stimuli: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return the confounds that can be computed. The numbers of tokens are known only after a model read the texts."""
    needed = {"tokens": N_TOKENS} | dict.fromkeys(("length", "frequency"), "text")
    return [name for name in names if needed.get(name, name) in stimuli]


def _check_name(stimuli: pd.DataFrame, name: str) -> None:
    """Refuse a confound that is neither one of `CONFOUNDS` nor a numeric column."""
    columns = [str(column) for column in stimuli.columns]
    if name in CONFOUNDS:
        if name in columns:
            raise UserError(
                f"{source_name(stimuli)} has a column {name!r}, but the confound {name!r} is computed from the texts: "
                "rename the column, and give its new name to use its values"
            )
        return
    usable = [c for c in columns if c not in ("text", "condition", N_TOKENS) and _numbers(stimuli[c]) is not None]
    if name in usable:
        return
    choices = f"the confounds are: {', '.join([*CONFOUNDS, *usable])}"
    if name not in columns or name == N_TOKENS:  # its numbers are the confound `tokens`
        raise UserError(f"there is no confound {name!r}; {choices}.{did_you_mean(name, [*CONFOUNDS, *usable])}")
    cells = stimuli[name].tolist()
    wrong = [position for position, cell in enumerate(cells) if not _is_finite(cell)]
    cell = str(cells[wrong[0]]) if wrong else ""
    decimal_comma = re.fullmatch(r"\s*[-+]?\d+,\d+\s*", cell)
    if name in ("text", "condition") or (len(wrong) == len(cells) and not decimal_comma):
        raise UserError(f"the column {name!r} has values that are not finite numbers: use another confound; {choices}")
    where = f"{source_name(stimuli)}, {row_name(stimuli, wrong[0])}"
    if "source" not in stimuli.attrs and "text" in stimuli:
        where = f"the text {str(stimuli['text'].iloc[wrong[0]])[:60]!r}"
    others = f", and {len(wrong) - 1} more such cell{'s' * (len(wrong) > 2)}" if len(wrong) > 1 else ""
    if decimal_comma:
        remedy = f"write decimals with a point ({cell.strip().replace(',', '.')})"
    else:
        remedy = "fill in or correct the value, or leave this text out"
    what = f"is {cell[:60]!r}, which is not a finite number" if cell.strip() else "is empty"
    raise UserError(f"{where}: the confound {name!r} {what}{others}: {remedy}")


def _is_finite(cell: object) -> bool:
    return _numbers(pd.Series([cell], dtype=object)) is not None


def confound_values(stimuli: pd.DataFrame, name: str) -> Float[np.ndarray, " stimuli"]:
    """Return the values of a confound that `check_confounds` accepts, one for each text.

    Raises:
        UserError: The table lacks the column `text` (for `length` and `frequency`) or `n_tokens` (for `tokens`).
    """
    if name in ("length", "frequency"):
        check_column(stimuli, "text")
        return (text_length if name == "length" else word_frequency)(stimuli["text"].tolist())
    column = N_TOKENS if name == "tokens" else name
    check_column(stimuli, column)
    values = _numbers(stimuli[column])
    assert values is not None, f"the confound {name} was not checked"
    return values


def confounds_note(names: Sequence[str]) -> str:
    """Return a note on confounds that may be estimates. Empty: there are none.

    A regression takes confounds as exact. With a reliability of 0.7, the rest of their effect gave false positives in
    9 to 19 % of simulated null data (nominal 5 %, docs/calibration.md). `length` and `tokens` are counted, so they are
    exact.
    """
    estimates = [name for name in dict.fromkeys(names) if name not in ("length", "tokens")]
    if not estimates:
        return ""
    its = "its" if len(estimates) == 1 else "their"
    return (
        f"if the values of {' and '.join(map(repr, estimates))} are estimates, as frequencies, ratings and norms are, "
        f"a part of {its} effect remains in the contrast, because the regression takes them as exact: match the texts "
        "as well"
    )


def _numbers(column: pd.Series) -> Float[np.ndarray, " stimuli"] | None:
    """Return the values of a column as numbers, or None if a value is not a finite number."""
    try:
        values = column.to_numpy().astype(float)
    except (ValueError, TypeError):
        return None
    return values if np.isfinite(values).all() else None
