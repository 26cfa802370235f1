"""Responses less what confounds explain of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.cortex.design import stimuli_of
from toposheet.cortex.layout import check_coordinates
from toposheet.errors import NotFound, UserError
from toposheet.stats import residuals
from toposheet.stimuli.measures import text_length, word_frequency

CONFOUNDS = ("length", "frequency", "tokens")
TEXTS_A_CONFOUND = 20


def without_confounds(
    responses: xr.DataArray,
    confounds: Sequence[str],
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    parts: Sequence[Bool[np.ndarray, " stimuli"]],
) -> xr.DataArray:
    """Return the responses to two conditions less what confounds explain of them by linear regression.

    What confounds and conditions explain alike is taken away with the confounds: where the two go together a contrast
    is too small rather than too large, and where a confound nearly is the condition little is left of it. Parts of the
    texts (the even and the odd ones) are fitted by themselves, so that neither knows of the other: fitted together,
    their maps would be opposites. Deviations from the mean of a condition are scaled by
    sqrt((n - 2) / (n - 2 - p)), p the parameters of all fits, so that t pays for them; where the confounds are balanced
    over the conditions it is that of the regression. Labels shuffled afterwards are not fitted anew: with few texts a
    confound their p is too small, so there must be 20.

    Args:
        responses: To the texts of two conditions and no others.
        confounds: Any of `length` (letters of the text), `frequency` (mean Zipf frequency of its words, which needs the
            package `wordfreq`), `tokens` (their number), or names of numeric columns of the stimuli.
        in_a: Which texts are in the first condition.
        in_b: Which are in the second.
        parts: Which texts are fitted together; each text is in one part.

    Raises:
        UserError: there is no such column, it is not numeric, or there are fewer than 20 texts a confound.
        NotFound: `wordfreq` is not installed.
    """
    if not confounds:
        return responses
    columns = np.stack([_confound(responses, name) for name in dict.fromkeys(confounds)], axis=1)
    n, k = columns.shape
    if n < TEXTS_A_CONFOUND * k:
        raise UserError(f"{k} confounds and {n} texts: take out one confound for {TEXTS_A_CONFOUND} texts at most")
    offsets = [part[:, None].astype(float) for part in parts[:-1]]  # the regression has a constant of its own
    design = np.column_stack([*offsets, *(columns * part[:, None] for part in parts)])
    left = residuals(responses.values, design)
    for mask in (in_a, in_b):
        mean = left[mask].mean(axis=0)
        left[mask] = mean + (left[mask] - mean) * np.sqrt((n - 2) / (n - 2 - design.shape[1]))
    return responses.copy(data=left)


def _confound(responses: xr.DataArray, name: str) -> Float[np.ndarray, " stimuli"]:
    if name in ("length", "frequency"):
        check_coordinates(responses, "text")
    if name == "length":
        return text_length(responses["text"].values.tolist())
    if name == "frequency":
        frequency = word_frequency(responses["text"].values.tolist())
        if frequency is None:
            raise NotFound("word frequencies need the package wordfreq: pip install 'toposheet[stimuli]'")
        return frequency
    column: Any = "n_tokens" if name == "tokens" else name
    columns = [str(name) for name in stimuli_of(responses)]
    if column not in columns:
        raise UserError(f"there is no confound {name!r}; there are: {', '.join([*CONFOUNDS, *columns])}")
    try:
        values = responses[column].values.astype(float)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise UserError(f"the confound {name!r} has values that are no numbers: take another column")
    return values
