"""Confidence intervals: of means, from Student's t, and of effect sizes, from the noncentral t."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import special

_LARGE_T = 1000.0


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


def mean_of_means_interval(parts: Sequence[Float[np.ndarray, " _"]]) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the mean over groups of the means of their items.

    The items of each group are a sample; the groups are fixed. The squared error is the sum over groups of s^2 / n,
    divided by the squared number of groups, and t has the degrees of freedom of Welch and Satterthwaite.

    Args:
        parts: The values of the items of each group.

    Returns:
        The two ends. They are nan if a group has fewer than 2 items.
    """
    sizes = np.array([len(part) for part in parts])
    if sizes.min() < 2:
        return np.nan, np.nan
    errors = np.array([part.var(ddof=1) for part in parts]) / sizes
    mean = float(np.mean([part.mean() for part in parts]))
    if errors.sum() == 0:
        return mean, mean
    df = errors.sum() ** 2 / (errors**2 / (sizes - 1)).sum()
    half = float(special.stdtrit(df, 0.975) * np.sqrt(errors.sum())) / len(parts)
    return mean - half, mean + half


def difference_interval(
    a: Float[np.ndarray, " first"], b: Float[np.ndarray, " second"], level: float = 0.95
) -> tuple[float, float]:
    """Return the ends of the interval of the mean of a minus the mean of b, two independent samples (Welch's t).

    Args:
        a: The values of the first sample.
        b: The values of the second sample.
        level: The probability with which the interval covers the difference.

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
    half = float(special.stdtrit(df, (1 + level) / 2) * np.sqrt(errors.sum()))
    return difference - half, difference + half


def effect_size_interval(d: Float[np.ndarray, "*units"], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of Cohen's d.

    d sqrt(m) has a noncentral t distribution with the noncentrality delta sqrt(m), where delta is the true d, and m is
    n_a n_b / (n_a + n_b) for two samples and n for one sample of differences. The ends are the two values of delta for
    which the observed d is the 97.5 % and the 2.5 % quantile (Steiger & Fouladi 1997, in What if there were no
    significance tests?, ISBN 978-0-8058-2634-0). This is exact for normal values, if two samples have one variance.

    Args:
        d: Cohen's d, one or many.
        sizes: Number of items of each sample: two numbers, or one number for differences.

    Returns:
        The two ends. They are nan where d is not finite.
    """
    n = np.asarray(sizes, dtype=float)
    root, df = np.sqrt(n.prod() / n.sum() if len(n) == 2 else n[0]), n.sum() - len(n)
    t = np.where(np.isfinite(d), d * root, np.nan)
    size = np.abs(t)
    # SciPy's search takes forever for very large t, where the error of the standard deviation alone decides.
    near, far = (
        np.where(
            size > _LARGE_T,
            size * np.sqrt(special.chdtri(df, quantile) / df),
            special.nctdtrinc(df, quantile, np.where(size > _LARGE_T, 0.0, size)),
        )
        for quantile in (0.975, 0.025)
    )
    return np.where(t < 0, -far, near) / root, np.where(t < 0, -near, far) / root
