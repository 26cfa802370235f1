"""Removal of confounds from responses by linear regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.cortex.design import stimuli_of
from toposheet.cortex.layout import check_coordinates
from toposheet.errors import NotFound, UserError
from toposheet.stats import residuals
from toposheet.stimuli.confounds import N_TOKENS, check_confounds, column_numbers
from toposheet.stimuli.measures import text_length, word_frequency

TEXTS_PER_CONFOUND = 20


def without_confounds(
    responses: xr.DataArray,
    confounds: Sequence[str],
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    parts: Sequence[Bool[np.ndarray, " stimuli"]],
) -> xr.DataArray:
    """Return the responses to two conditions, after a linear regression has removed the confounds.

    The regression removes everything that the confounds can explain, also if the condition could explain it as well. So
    if a confound differs between the conditions, the contrast gets smaller. If a confound is nearly the same as the
    condition, little of the contrast remains.

    Each part of the texts (the even and the odd texts) has a separate regression, so the parts stay independent. With
    one regression for both parts, the maps of the two parts would be opposite to each other.

    The regression uses up degrees of freedom. To account for this, deviations from the mean of a condition are
    multiplied by sqrt((n - 2) / (n - 2 - p)), where n is the number of texts and p the number of parameters of all
    regressions. If the confounds have the same distribution in both conditions, t is then the t of a multiple
    regression.

    When labels are shuffled later, the regressions are not repeated. With few texts per confound, the p from shuffled
    labels is then too small. Therefore at least 20 texts per confound are required.

    Args:
        responses: Responses to the texts of the two conditions, without other texts.
        confounds: Any of `length` (number of letters of the text), `frequency` (mean Zipf frequency of its words; needs
            the package `wordfreq`), `tokens` (number of tokens), or names of numeric columns of the stimuli.
        in_a: True for each text of the first condition.
        in_b: True for each text of the second condition.
        parts: Masks of the texts that share a regression. Each text is in exactly one part.

    Raises:
        UserError: A column does not exist, a column is not numeric, or there are fewer than 20 texts per confound.
        NotFound: `wordfreq` is not installed.
    """
    if not confounds:
        return responses
    columns = np.stack([_confound(responses, name) for name in dict.fromkeys(confounds)], axis=1)
    n, k = columns.shape
    if n < TEXTS_PER_CONFOUND * k:
        raise UserError(
            f"there are {k} confounds and {n} texts: use at most one confound per {TEXTS_PER_CONFOUND} texts"
        )
    offsets = [part[:, None].astype(float) for part in parts[:-1]]  # `residuals` adds a constant
    design = np.column_stack([*offsets, *(columns * part[:, None] for part in parts)])
    left = residuals(responses.values, design)
    for mask in (in_a, in_b):
        mean = left[mask].mean(axis=0)
        left[mask] = mean + (left[mask] - mean) * np.sqrt((n - 2) / (n - 2 - design.shape[1]))
    return responses.copy(data=left)


def _confound(responses: xr.DataArray, name: str) -> Float[np.ndarray, " stimuli"]:
    """Return the values of a confound, one for each text."""
    if name in ("length", "frequency"):
        check_coordinates(responses, "text")
    if name == "length":
        return text_length(responses["text"].values.tolist())
    if name == "frequency":
        frequency = word_frequency(responses["text"].values.tolist())
        if frequency is None:
            raise NotFound(
                "word frequencies need the package wordfreq, which is not installed: pip install 'toposheet[stimuli]'"
            )
        return frequency
    if name == "tokens":
        check_coordinates(responses, N_TOKENS)
    table = stimuli_of(responses)
    check_confounds(table, [name])
    values = column_numbers(table[N_TOKENS if name == "tokens" else name])
    assert values is not None, "check_confounds lets numbers through"
    return values
