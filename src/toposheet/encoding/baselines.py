"""Features that know nothing of what a text says, but predict recordings: place in the passage, length, closeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from toposheet.stimuli.confounds import N_TOKENS

POSITION, LENGTH, OASM, UNTRAINED = "position", "length", "oasm", "untrained"
_POWERS = (1, 2, 3)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of stimuli: one band of a ridge regression.

    Args:
        values: The features.
        scaled: Whether each feature gets the standard deviation 1 in the training rows. False: it is only centred.
    """

    values: Float[np.ndarray, "stimuli features"]
    scaled: bool = True


def baseline_features(
    responses: xr.DataArray,
    passages: Int[np.ndarray, " stimuli"] | None,
    width: float,
    untrained: xr.DataArray | None = None,
) -> Mapping[str, Features]:
    """Return the features of each baseline: {name: features}.

    `position`: the place of a stimulus in its passage, and its square and cube. `length`: the numbers of characters and
    words of a text (for texts of equal duration, the word rate), and of tokens if they are known. `oasm`: the
    orthogonal autocorrelated sequences model, see `sequences`. `untrained`: the responses of a model with random
    weights.

    Args:
        responses: Responses to the stimuli, in the order of presentation. Only the coordinates of the stimuli count.
        passages: The passage of each stimulus. None: all stimuli are one passage.
        width: Standard deviation of the Gaussian of `oasm`, in stimuli.
        untrained: Responses of an untrained model to the same stimuli. None: this baseline is left out.
    """
    passages = np.zeros(responses.sizes["stimulus"], dtype=int) if passages is None else passages
    texts = [str(text) for text in responses["text"].values]
    lengths = [[len(text) for text in texts], [len(text.split()) for text in texts]]
    if N_TOKENS in responses.coords:
        lengths.append(responses[N_TOKENS].values.tolist())
    places = _places(passages) / max(1, int(_places(passages).max()))
    features = {
        POSITION: Features(np.stack([places**power for power in _POWERS], axis=1)),
        LENGTH: Features(np.array(lengths, dtype=float).T),
        OASM: Features(sequences(passages, width), scaled=False),
    }
    if untrained is not None:
        features[UNTRAINED] = Features(untrained.values.astype(float))
    return features


def sequences(passages: Int[np.ndarray, " stimuli"], width: float) -> Float[np.ndarray, "stimuli stimuli"]:
    """Return the features of the orthogonal autocorrelated sequences model (Feghhi et al. 2024, arXiv:2406.01538).

    Each stimulus has a feature of its own, which is blurred in time within its passage by a Gaussian:
    f_ij = exp(-(i - j)^2 / (2 width^2)) for two stimuli of one passage, and 0 for stimuli of different passages. These
    features say only which stimuli are near each other in time. What they predict in other stimuli is autocorrelation.

    Args:
        passages: The passage of each stimulus, in the order of presentation.
        width: Standard deviation of the Gaussian, in stimuli.
    """
    rows = np.arange(len(passages))
    blurred = np.exp(-(np.subtract.outer(rows, rows) ** 2) / (2 * width**2))
    return np.where(passages[:, None] == passages, blurred, 0.0)


def _places(passages: np.ndarray) -> np.ndarray:
    """Return the place of each stimulus in its passage, from 0."""
    starts = np.searchsorted(passages, passages)
    return np.arange(len(passages)) - starts
