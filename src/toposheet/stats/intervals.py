"""Confidence intervals of means, from Student's t."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special


def mean_interval(values: Float[np.ndarray, "items ..."]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of a mean over independent items (Student's t).

    Args:
        values: The value of each item, one column or many.

    Returns:
        The two ends. They are nan for fewer than 2 items.
    """
    n = len(values)
    if n < 2:
        none = np.full(values.shape[1:], np.nan)
        return none, none
    mean, half = values.mean(axis=0), special.stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return np.asarray(mean - half), np.asarray(mean + half)


def difference_interval(a: Float[np.ndarray, " first"], b: Float[np.ndarray, " second"]) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the mean of a minus the mean of b, two independent samples (Welch's t).

    Args:
        a: The values of the first sample.
        b: The values of the second sample.

    Returns:
        The two ends. They are nan if a sample has fewer than 2 values.
    """
    if min(len(a), len(b)) < 2:
        return np.nan, np.nan
    errors = np.array([values.var(ddof=1) / len(values) for values in (a, b)])
    difference = float(a.mean() - b.mean())
    if errors.sum() == 0:
        return difference, difference
    df = errors.sum() ** 2 / (errors[0] ** 2 / (len(a) - 1) + errors[1] ** 2 / (len(b) - 1))
    half = float(special.stdtrit(df, 0.975) * np.sqrt(errors.sum()))
    return difference - half, difference + half
