"""Removal of confounds from responses by linear regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Bool

from toposheet.cortex.design import stimuli_of
from toposheet.stats import residuals
from toposheet.stimuli.confounds import check_confounds, check_not_the_condition, confound_values
from toposheet.stimuli.contrasts import Contrast

_ROUNDING = 1e-6  # of the standard deviation of a unit before the regression


def without_confounds(
    responses: xr.DataArray,
    contrast: Contrast,
    confounds: Sequence[str],
    parts: Sequence[Bool[np.ndarray, " stimuli"]],
) -> xr.DataArray:
    """Return the responses to two conditions, after a linear regression has removed the confounds.

    The regression removes everything that the confounds can explain, even if the condition could explain it as well. So
    if a confound differs between the conditions, the contrast gets smaller. If a confound is nearly the same as the
    condition, little of the contrast remains.

    Each part of the texts (the even and the odd texts) has a separate regression, so the parts stay independent. With
    one regression for both parts, the maps of the two parts would be opposite to each other.

    The regression uses up degrees of freedom. To account for this, deviations from the mean of a condition are
    multiplied by sqrt((n - 2) / (n - 2 - p)), where n is the number of texts and p the number of parameters of all
    regressions. If the confounds have the same distribution in both conditions, t is then the t of a multiple
    regression.

    If what is left of the responses of a unit in a part is rounding error (below 1e-6 of their variation before, or
    below the precision of the responses), the unit is silent there: its responses are set to its mean.

    When labels are shuffled later, the regressions are not repeated. With few texts per confound, the p from shuffled
    labels is then too small. Therefore at least 20 texts per confound are required.

    Args:
        responses: Responses to the texts of the two conditions, without other texts (`compared_responses`).
        contrast: The contrast. The coordinate `condition` of the responses holds its two labels.
        confounds: Any of `length` (number of letters of the text), `frequency` (mean Zipf frequency of its words; needs
            the package `wordfreq`), `tokens` (number of tokens), or names of numeric columns of the stimuli.
        parts: Masks of the texts that share a regression. Each text is in exactly one part.

    Raises:
        UserError: `check_confounds` refuses the confounds, or they explain the condition exactly in a part.
        MissingPackage: `wordfreq` is not installed.
    """
    if not confounds:
        return responses
    stimuli = stimuli_of(responses)
    # The labels of the contrast are in `condition` now, even if the contrast took them from another column.
    check_confounds(stimuli, replace(contrast, column="condition", where=None), confounds)
    n, conditions = len(stimuli), responses["condition"].values
    for part in parts:
        check_not_the_condition(stimuli[part], contrast, (conditions == contrast.a)[part], confounds)
    columns = np.stack([confound_values(stimuli, name) for name in dict.fromkeys(confounds)], axis=1)
    offsets = [part[:, None].astype(float) for part in parts[:-1]]  # `residuals` adds a constant
    design = np.column_stack([*offsets, *(columns * part[:, None] for part in parts)])
    left = residuals(responses.values, design)
    for label in (contrast.a, contrast.b):
        mask = conditions == label
        mean = left[mask].mean(axis=0)
        left[mask] = mean + (left[mask] - mean) * np.sqrt((n - 2) / (n - 2 - design.shape[1]))
    for part in parts:
        x = responses.values[part].astype(np.float64)
        rounding = _ROUNDING * x.std(axis=0) + np.finfo(responses.dtype).eps * np.abs(x).max(axis=0)
        silent = left[part].std(axis=0) <= rounding
        left[np.ix_(part, silent)] = responses.values[:, silent].mean(axis=0, dtype=np.float64)
    return responses.copy(data=left)
