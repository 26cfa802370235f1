"""The noise ceiling: how well a perfect model could predict a recording, from repetitions of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

LEAST_CEILING = 0.3
"""Scores are divided by the ceiling only in voxels whose ceiling is at least this r."""


def noise_ceiling(values: Float[np.ndarray, "stimuli voxels repetitions"]) -> Float[np.ndarray, " voxels"]:
    """Return the largest r that a prediction can have with the mean of repetitions: the root of its reliability.

    The reliability of the mean of n repetitions is n c / (1 + (n - 1) c), where c is the mean correlation of two single
    repetitions (Spearman 1910, Brown 1910, doi:10.1111/j.2044-8295.1910.tb00206.x and .tb00207.x). With 2 repetitions,
    this is the split-half reliability with the correction of Spearman and Brown. Repetitions may be subjects whose
    voxels correspond; the ceiling is then that of what the subjects share.

    Args:
        values: The value of each voxel in each repetition.

    Returns:
        The ceiling of each voxel, from 0 (nothing repeats) to 1 (everything repeats). It is nan for one repetition:
        nothing says then what is noise. Noise that repeats, such as a drift that is the same in each run, counts as
        signal, and the ceiling is then too high.
    """
    _, n_voxels, n = values.shape
    if n < 2:
        return np.full(n_voxels, np.nan)
    z = values - values.mean(axis=0)
    z = z / np.sqrt((z**2).mean(axis=0))
    of_sum = ((z.sum(axis=2)) ** 2).mean(axis=0)  # n + n (n - 1) c
    c = np.clip((of_sum - n) / (n * (n - 1)), 0.0, 1.0)
    return np.sqrt(n * c / (1 + (n - 1) * c))


def normalised(
    r: Float[np.ndarray, "*draws voxels"], ceiling: Float[np.ndarray, " voxels"]
) -> Float[np.ndarray, "*draws voxels"]:
    """Return r divided by its ceiling; nan in voxels without ceiling, or with a ceiling below `LEAST_CEILING`.

    Args:
        r: The score of each voxel.
        ceiling: The ceiling of each voxel.
    """
    reliable = ceiling >= LEAST_CEILING
    return np.where(reliable, r / np.where(reliable, ceiling, 1.0), np.nan)
