"""Tests of condition A against condition B, for many units and many draws of a null at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Shaped
from scipy import special
from scipy import stats as scipy_stats

from toposheet.errors import UserError

_EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True)
class TTest:
    """The result of a t test for each draw and unit.

    t, p and d are nan for a silent unit (a unit without variance).

    Args:
        t: Welch's t of two samples, or the t of one sample of differences. It is positive where condition A has the
            larger mean.
        df: Degrees of freedom of t (Satterthwaite; n - 1 for one sample).
        d: Cohen's d: the difference of the means divided by the pooled standard deviation; for one sample, the mean
            difference divided by the standard deviation of the differences.
    """

    t: Float[np.ndarray, "*draws units"]
    df: Float[np.ndarray, "*draws units"]
    d: Float[np.ndarray, "*draws units"]

    @cached_property
    def p(self) -> Float[np.ndarray, "*draws units"]:
        """The two-sided p-value of t.

        It is computed at the first use, because nulls of t alone do not need it.
        """
        return 2 * special.stdtr(self.df, -np.abs(self.t))


@dataclass(frozen=True)
class MeanAndVariance:
    """The number of items in a sample, and the mean and variance of their values, for each draw and unit.

    Args:
        n: Number of items.
        mean: Mean of the values.
        var: Variance of the values, with the denominator n - 1.
    """

    n: np.ndarray
    mean: Float[np.ndarray, "*draws units"]
    var: Float[np.ndarray, "*draws units"]

    @classmethod
    def of(cls, x: Float[np.ndarray, "items units"], weights: Shaped[np.ndarray, "*draws items"]) -> MeanAndVariance:
        """Return number, mean and variance of a sample. Two matrix products do this for all draws at once.

        Args:
            x: Values of the items. Their mean in each unit must not be large, because the squares of large values
                would hide small variances by rounding.
            weights: 1 for an item of the sample, -1 for an item whose value has the opposite sign in this draw, 0 for
                an item outside the sample. Leading axes are draws.
        """
        signs, counts = weights.astype(x.dtype), np.abs(weights).astype(x.dtype)
        n = counts.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = signs @ x / n
            return cls.of_squares(n, mean, counts @ x**2 - n * mean**2)

    @classmethod
    def of_squares(cls, n: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> MeanAndVariance:
        """Return the moments of a sample from its sum of squared deviations from the mean.

        A sum that rounding alone can make is 0: the values of the sample are all equal.

        Args:
            n: Number of items.
            mean: Mean of the values.
            squares: Sum of the squared deviations of the values from their mean.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(n, mean, np.where(squares <= n * _EPSILON * n * mean**2, 0.0, squares) / (n - 1))


def t_test(x: Float[np.ndarray, "items units"], weights: Sequence[Shaped[np.ndarray, "*draws items"]]) -> TTest:
    """Return the t of condition A against B: of two samples, or of one sample of differences.

    Two samples: t = (mean_a - mean_b) / sqrt(var_a / n_a + var_b / n_b), with the degrees of freedom of Satterthwaite
    (Welch 1947, doi:10.1093/biomet/34.1-2.28). One sample: t = mean / sqrt(var / n), with n - 1 degrees of freedom.

    Args:
        x: Values of the items: for two samples, the value of each item of A and B (see `centred`); for one sample, the
            difference between A and B in each pair.
        weights: The weights of the items in each sample (`MeanAndVariance.of`): of A and of B, or of the differences.

    Raises:
        UserError: A sample has fewer than 2 items.
    """
    n = [int(np.abs(sample).sum(axis=-1).min()) for sample in weights]
    if min(n) < 2:
        raise UserError(f"the conditions have {' and '.join(map(str, n))} items: each needs at least 2 items")
    return t_of(*(MeanAndVariance.of(x, sample) for sample in weights))


def centred(x: Float[np.ndarray, "items units"]) -> Float[np.ndarray, "items units"]:
    """Return values in float64, minus the mean of each unit.

    A silent unit becomes exactly 0, without rounding.
    """
    x = x.astype(np.float64)
    return np.where(np.ptp(x, axis=0) == 0, 0.0, x - x.mean(axis=0))


def t_of(a: MeanAndVariance, b: MeanAndVariance | None = None) -> TTest:
    """Return the t test of two samples, or of one sample of differences, computed from their moments; see `t_test`.

    Args:
        a: Moments of condition A, or of the differences.
        b: Moments of condition B. None: `a` holds differences.
    """
    if b is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            n_less_1 = np.broadcast_to(a.n - 1.0, a.mean.shape)
            return TTest(t=a.mean / np.sqrt(a.var / a.n), df=n_less_1, d=a.mean / np.sqrt(a.var))
    with np.errstate(divide="ignore", invalid="ignore"):
        error_a, error_b = a.var / a.n, b.var / b.n
        error = error_a + error_b
        difference = a.mean - b.mean
        df = error**2 / (error_a**2 / (a.n - 1) + error_b**2 / (b.n - 1))
        if (silent := error == 0).any():
            # Two samples whose values are all equal have no difference, even if rounding makes one.
            scale = np.maximum(np.abs(a.mean), np.abs(b.mean))
            difference = np.where(silent & (np.abs(difference) <= 1e-12 * scale), 0.0, difference)
            # Without variance in both conditions, Satterthwaite's degrees of freedom are undefined and are set to 1. If
            # the means differ, t is infinite, and p is 0 with any degrees of freedom.
            df = np.where(silent, 1.0, df)
        t = difference / np.sqrt(error)
        pooled = ((a.n - 1) * a.var + (b.n - 1) * b.var) / (a.n + b.n - 2)
        return TTest(t=t, df=df, d=difference / np.sqrt(pooled))


def residuals(
    x: Float[np.ndarray, "stimuli units"], confounds: Float[np.ndarray, "stimuli confounds"]
) -> Float[np.ndarray, "stimuli units"]:
    """Return the residuals of a linear regression of responses on confounds, plus the mean of each unit.

    The regression has a constant. Adding the mean back keeps the overall level of each unit.

    Args:
        x: Responses of each unit to each stimulus.
        confounds: Values to remove from the responses, for example the length and the frequency of each text.
    """
    design = confounds - confounds.mean(axis=0)
    x, mean = x.astype(np.float64), x.mean(axis=0, dtype=np.float64)
    return x - design @ np.linalg.lstsq(design, x - mean, rcond=None)[0]


def q_values(p: Float[np.ndarray, "*draws units"]) -> Float[np.ndarray, "*draws units"]:
    """Return p-values adjusted for the false discovery rate over the last axis (Benjamini & Hochberg 1995).

    A silent unit has p = nan and is not tested: its q is nan, and it does not count as a test.
    doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    q = np.full(p.shape, np.nan)
    for row in np.ndindex(p.shape[:-1]):
        tested = np.isfinite(p[row])
        if tested.any():
            q[row][tested] = scipy_stats.false_discovery_control(p[row][tested])
    return q


def small_q_values(test: TTest, bound: float) -> Float[np.ndarray, "*draws units"]:
    """Return `q_values` of the p of a t test where they are below a bound, and otherwise 1. A silent unit has nan.

    It is several times faster than `q_values`, because few units of a draw without effect have a small p: p >= bound if
    |t| is not above the quantile of the normal distribution, and a unit with p >= bound has q >= bound and changes no
    smaller q.

    Args:
        test: The t test.
        bound: The bound, above 0 and at most 1.
    """
    smallest_t = -special.ndtri(bound / 2)
    q = np.where(np.isnan(test.t), np.nan, 1.0)
    for row in np.ndindex(q.shape[:-1]):
        candidates = np.flatnonzero(np.abs(test.t[row]) > smallest_t)
        p = 2 * special.stdtr(test.df[row][candidates], -np.abs(test.t[row][candidates]))
        order = np.argsort(p)
        of_candidates = p[order] * np.isfinite(q[row]).sum() / np.arange(1, len(p) + 1)
        of_candidates = np.minimum.accumulate(of_candidates[::-1])[::-1]
        q[row][candidates[order]] = np.where(of_candidates < bound, of_candidates, 1.0)
    return q
