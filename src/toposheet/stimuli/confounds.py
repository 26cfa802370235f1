"""Confounds: variables whose effect a regression can remove from a contrast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError, did_you_mean
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.measures import check_word_frequency, text_length, word_frequency
from toposheet.stimuli.naming import check_column

CONFOUNDS = ("length", "frequency", "tokens")
"""Confounds that are computed from the texts.

length: number of letters of a text. frequency: mean Zipf frequency of its words. tokens: number of tokens of the text.
"""

N_TOKENS = "n_tokens"
"""Name of the column that holds the number of tokens of each text."""

TEXTS_PER_CONFOUND = 20
"""A contrast needs this number of texts for each confound."""


def check_confounds(stimuli: pd.DataFrame, contrast: Contrast, names: Sequence[str]) -> None:
    """Refuse confounds that cannot be removed from a contrast. Only the texts of the contrast are looked at.

    Args:
        stimuli: A table of stimuli.
        contrast: The contrast.
        names: Names from `CONFOUNDS`, or names of numeric columns of the table.

    Raises:
        UserError: The table has no such column, or the column holds a value that is not a finite number (the message
            lists the confounds that can be used), or there are fewer than 20 texts per confound.
        MissingPackage: `frequency` is given, and the package `wordfreq` is not installed.
    """
    if not names:
        return
    in_a, in_b = contrast.masks(stimuli)
    stimuli, distinct = stimuli[in_a | in_b], list(dict.fromkeys(names))
    columns = [str(column) for column in stimuli.columns]
    usable = [c for c in columns if c not in ("text", "condition", N_TOKENS) and _numbers(stimuli[c]) is not None]
    for name in distinct:
        if name in CONFOUNDS or name in usable:
            continue
        choices = f"the confounds are: {', '.join([*CONFOUNDS, *usable])}"
        if name in columns:
            raise UserError(
                f"the column {name!r} has values that are not finite numbers: use another confound; {choices}"
            )
        raise UserError(f"there is no confound {name!r}; {choices}.{did_you_mean(name, [*CONFOUNDS, *usable])}")
    if "frequency" in distinct:
        check_word_frequency()
    if len(stimuli) < TEXTS_PER_CONFOUND * len(distinct):
        n = "is 1 confound" if len(distinct) == 1 else f"are {len(distinct)} confounds"
        raise UserError(
            f"there {n} and {len(stimuli)} texts in {contrast.name}: use at most one confound per "
            f"{TEXTS_PER_CONFOUND} texts"
        )


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
    """Return a note on confounds that are estimates. Empty: there are none.

    A regression takes confounds as exact. With a reliability of 0.7, the rest of their effect gave false positives in
    24 to 35 % of simulated null data (nominal 5 %). `length` and `tokens` are counted, so they are exact.
    """
    estimates = [name for name in dict.fromkeys(names) if name not in ("length", "tokens")]
    if not estimates:
        return ""
    are = "confound is an estimate" if len(estimates) == 1 else "confounds are estimates"
    return (
        f"{', '.join(estimates)}: frequencies, ratings and norms are measured with error, but the regression takes "
        f"them as exact. If the {are}, a part of its effect remains in the contrast: match the texts as well"
    )


def _numbers(column: pd.Series) -> Float[np.ndarray, " stimuli"] | None:
    """Return the values of a column as numbers, or None if a value is not a finite number."""
    try:
        values = column.to_numpy().astype(float)
    except (ValueError, TypeError):
        return None
    return values if np.isfinite(values).all() else None
