"""How far the response of a unit to a text follows from the number of tokens of the text alone."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from toposheet.cortex.layout import check_coordinates
from toposheet.stimuli.confounds import N_TOKENS

FOLLOWS = 0.5  # a unit follows the number of tokens if r2 is larger
_MIN_TEXTS = 10


def length_r2(responses: xr.DataArray) -> tuple[Float[np.ndarray, " unit"], str]:
    """Return r2 between the responses of each unit and 1 / number of tokens, over texts.

    If one token of each text has a much larger activation than all others, the mean over tokens is this activation
    times 1 / number of tokens.

    Args:
        responses: Responses from `respond`.

    Returns:
        r2 of each unit, from 0 to 1; nan for a unit that responds equally to all texts. And the reason why r2 is not
        defined for any unit (then all are nan): fewer than 10 texts, or texts that all have the same number of tokens.
        Empty: it is defined.
    """
    check_coordinates(responses, N_TOKENS)
    x = responses.transpose("stimulus", "unit").values.astype(np.float64)
    nearness = 1 / responses[N_TOKENS].values
    reason = ""
    if len(x) < _MIN_TEXTS:
        reason = f"there are fewer than {_MIN_TEXTS} texts"
    elif np.ptp(nearness) == 0:
        reason = "all texts have the same number of tokens"
    if reason:
        return np.full(x.shape[1], np.nan), reason
    x = x - x.mean(axis=0)
    nearness = nearness - nearness.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = (nearness @ x) ** 2 / (nearness @ nearness * (x**2).sum(axis=0))
    return np.where(np.ptp(responses.values, axis=responses.dims.index("stimulus")) == 0, np.nan, r2), reason
