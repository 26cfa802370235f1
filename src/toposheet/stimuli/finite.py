"""The check that responses to stimuli are finite numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError
from toposheet.stimuli.naming import row_name, source_name


def check_finite_responses(
    responses: Float[np.ndarray, "stimuli units"], stimuli: pd.DataFrame, taps: Sequence[str] | np.ndarray
) -> None:
    """Refuse responses that are nan or infinite.

    Args:
        responses: The response of each unit to each stimulus.
        stimuli: The table of the stimuli.
        taps: The tap of each unit.

    Raises:
        UserError: A response is nan or infinite. The message names the first such stimulus and its tap, and says how
            many stimuli have such responses.
    """
    finite = np.isfinite(responses)
    if finite.all():
        return
    position, unit = (int(axis[0]) for axis in np.nonzero(~finite))
    stimulus, n_texts = f"{source_name(stimuli)}, {row_name(stimuli, position)}", int((~finite.all(axis=1)).sum())
    raise UserError(
        f"{stimulus}: a response in {taps[unit]} is not finite (nan or inf), and {n_texts} of {len(stimuli)} texts "
        "have such responses: repair the model, or leave these texts out"
    )
