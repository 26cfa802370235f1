"""Many tests at once: p values that are corrected for the number of tests."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from toposheet.stats.nulls import reaches

Alternative = Literal["greater", "less", "two-sided"]


def familywise_p(
    values: Float[np.ndarray, "observed_and_draws tests"],
    alternative: Alternative = "greater",
    alike: Int[np.ndarray, " tests"] | None = None,
) -> Float[np.ndarray, " tests"]:
    """Return the p of each of several tests that share their draws, corrected for the number of tests.

    p = (1 + b) / (1 + B), where in b of the B draws the largest statistic of all tests is at least the statistic of
    this test: maxT in a single step (Westfall & Young 1993, ISBN 978-0-471-55761-6). First each statistic is
    standardised, minus its mean and divided by its standard deviation over the observed value and the draws. So all
    tests count alike, and the observed value is treated as the draws are: with few draws, a mean and a standard
    deviation of the draws alone would call noise significant too often.

    Args:
        values: The statistic of each test. The first row is observed, the others are draws.
        alternative: Which values are extreme. `greater`: large ones. `less`: small ones. `two-sided`: those far from
            the mean of the test.
        alike: A number for each test. Tests with the same number have the same null. They are standardised with their
            common mean and standard deviation, which are more precise with few draws. None: no tests are alike.

    Returns:
        One p for each test. The chance that any test without effect has p <= 0.05 is at most 0.05. A test whose
        observed value is undefined has p nan, and does not count.
    """
    defined = np.isfinite(values[0])
    p = np.full(values.shape[1], np.nan)
    if not defined.any():
        return p
    tests = np.where(np.isfinite(values), values, np.nan)[:, defined]
    mean, sd = np.nanmean(tests, axis=0), np.nanstd(tests, axis=0)
    if alike is not None:
        groups = alike[defined]
        for group in np.unique(groups):
            together = tests[:, groups == group]
            mean[groups == group], sd[groups == group] = np.nanmean(together), np.nanstd(together)
    varies = sd > 1e-9 * np.abs(mean)
    standardised = np.divide(tests - mean, sd, out=np.zeros_like(tests), where=varies)
    standardised = {"greater": standardised, "less": -standardised, "two-sided": np.abs(standardised)}[alternative]
    largest = np.where(np.isnan(standardised), -np.inf, standardised).max(axis=1)
    p[defined] = (1 + reaches(largest[1:, None], standardised[0]).sum(axis=0)) / len(values)
    return p


def holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Return p values that are corrected for the number of tests by Holm's method (1979, jstor.org/stable/4615733).

    The smallest of k p values is multiplied by k, the next one by k - 1, and so on; none is below one before it, and
    none is above 1. The chance that any test without effect has p <= 0.05 is at most 0.05, whatever the tests share.

    Args:
        p: The p of each test. nan: the test is undefined; it counts, and stays nan.
    """
    order = np.argsort(p)  # nan is last
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return corrected
