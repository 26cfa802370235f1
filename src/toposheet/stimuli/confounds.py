"""What a contrast can be freed of: measures of the texts, and columns of the stimuli that are numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError, did_you_mean

CONFOUNDS = ("length", "frequency", "tokens")
"""The letters of a text, the mean Zipf frequency of its words, the tokens that a model makes of it."""

N_TOKENS = "n_tokens"
"""Where responses have the number of tokens of each text."""


def check_confounds(stimuli: pd.DataFrame, confounds: Sequence[str]) -> None:
    """Refuse confounds that stimuli do not have.

    Args:
        stimuli: A table of stimuli.
        confounds: Any of `CONFOUNDS`, or names of columns.

    Raises:
        UserError: there is no such column, or its values are not all numbers; lists what can be taken.
    """
    columns = [str(column) for column in stimuli.columns]
    usable = [c for c in columns if c not in ("text", "condition", N_TOKENS) and column_numbers(stimuli[c]) is not None]
    for name in confounds:
        if name in CONFOUNDS or name in usable:
            continue
        there_are = f"there are: {', '.join([*CONFOUNDS, *usable])}"
        if name in columns:
            raise UserError(f"the confound {name!r} has values that are no numbers: take another column; {there_are}")
        raise UserError(f"there is no confound {name!r}; {there_are}.{did_you_mean(name, [*CONFOUNDS, *usable])}")


def column_numbers(column: pd.Series) -> Float[np.ndarray, " stimuli"] | None:
    """Return the values of a column as numbers, None where one is no finite number."""
    try:
        values = column.to_numpy().astype(float)
    except (ValueError, TypeError):
        return None
    return values if np.isfinite(values).all() else None
