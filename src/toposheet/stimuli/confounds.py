"""Confounds: variables whose effect a regression can remove from a contrast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError, did_you_mean

CONFOUNDS = ("length", "frequency", "tokens")
"""Confounds that are computed from the texts.

length: number of letters of a text. frequency: mean Zipf frequency of its words. tokens: number of tokens of the text.
"""

N_TOKENS = "n_tokens"
"""Name of the column that holds the number of tokens of each text."""


def check_confounds(stimuli: pd.DataFrame, confounds: Sequence[str]) -> None:
    """Refuse confounds that cannot be computed from the stimuli.

    Args:
        stimuli: A table of stimuli.
        confounds: Names from `CONFOUNDS`, or names of numeric columns of the table.

    Raises:
        UserError: The table has no such column, or the column holds a value that is not a finite number. The message
            lists the confounds that can be used.
    """
    columns = [str(column) for column in stimuli.columns]
    usable = [c for c in columns if c not in ("text", "condition", N_TOKENS) and column_numbers(stimuli[c]) is not None]
    for name in confounds:
        if name in CONFOUNDS or name in usable:
            continue
        choices = f"the confounds are: {', '.join([*CONFOUNDS, *usable])}"
        if name in columns:
            raise UserError(
                f"the column {name!r} has values that are not finite numbers: use another confound; {choices}"
            )
        raise UserError(f"there is no confound {name!r}; {choices}.{did_you_mean(name, [*CONFOUNDS, *usable])}")


def column_numbers(column: pd.Series) -> Float[np.ndarray, " stimuli"] | None:
    """Return the values of a column as numbers, or None if a value is not a finite number."""
    try:
        values = column.to_numpy().astype(float)
    except (ValueError, TypeError):
        return None
    return values if np.isfinite(values).all() else None
