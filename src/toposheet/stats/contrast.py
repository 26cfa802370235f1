"""Welch tests of condition A against condition B, for many units and many labellings at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special
from scipy import stats as scipy_stats

from toposheet.errors import UserError


@dataclass(frozen=True)
class Welch:
    """The result of a Welch test for each labelling and unit.

    t, p and d are nan for a silent unit (a unit without variance).

    Args:
        t: Welch's t. It is positive where condition A has the larger mean.
        df: Degrees of freedom of t (Satterthwaite).
        d: Cohen's d: the difference of the means divided by the pooled standard deviation.
    """

    t: Float[np.ndarray, "*labellings units"]
    df: Float[np.ndarray, "*labellings units"]
    d: Float[np.ndarray, "*labellings units"]

    @cached_property
    def p(self) -> Float[np.ndarray, "*labellings units"]:
        """The two-sided p-value of t.

        It is computed at the first use, because nulls of t alone do not need it.
        """
        return 2 * special.stdtr(self.df, -np.abs(self.t))


@dataclass(frozen=True)
class MeanAndVariance:
    """The number of stimuli in a set, and the mean and variance of the responses, for each labelling and unit.

    Args:
        n: Number of stimuli.
        mean: Mean of the responses.
        var: Variance of the responses, with the denominator n - 1.
    """

    n: np.ndarray
    mean: Float[np.ndarray, "*labellings units"]
    var: Float[np.ndarray, "*labellings units"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "stimuli units"], member: Bool[np.ndarray, "*labellings stimuli"]
    ) -> MeanAndVariance:
        """Return number, mean and variance of a set of stimuli. Two matrix products do this for all labellings at once.

        Args:
            x: Responses, with a mean near zero in each unit. The squares of large means would hide small variances by
                rounding.
            member: True for each stimulus of the set. Leading axes are alternative labellings.
        """
        n = member.sum(axis=-1, keepdims=True)
        weights = member.astype(x.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = weights @ x / n
            return cls(n, mean, np.maximum(weights @ x**2 - n * mean**2, 0.0) / (n - 1))

    def __or__(self, other: MeanAndVariance) -> MeanAndVariance:
        """Return the moments of both sets together (Chan et al. 1983, doi:10.1080/00031305.1983.10483115)."""
        n = self.n + other.n
        shift = other.mean - self.mean
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = sum(np.where(m.n > 1, (m.n - 1) * m.var, 0.0) for m in (self, other))
            return MeanAndVariance(
                n, self.mean + shift * other.n / n, (squares + shift**2 * self.n * other.n / n) / (n - 1)
            )


def welch_t(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
) -> Welch:
    """Return Welch's t of condition A against B (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    t = (mean_a - mean_b) / sqrt(var_a / n_a + var_b / n_b), with the degrees of freedom of Satterthwaite.

    Args:
        x: Responses of each unit to each stimulus.
        in_a: True for each stimulus of condition A. Leading axes are alternative labellings.
        in_b: True for each stimulus of condition B.

    Raises:
        UserError: A condition has fewer than 2 stimuli.
    """
    n_a, n_b = in_a.sum(axis=-1), in_b.sum(axis=-1)
    if min(n_a.min(), n_b.min()) < 2:
        raise UserError(f"the conditions have {n_a.min()} and {n_b.min()} stimuli: each needs at least 2 stimuli")
    x = centred(x)
    return welch(MeanAndVariance.of(x, in_a), MeanAndVariance.of(x, in_b))


def centred(x: Float[np.ndarray, "stimuli units"]) -> Float[np.ndarray, "stimuli units"]:
    """Return responses in float64, minus the mean of each unit.

    A silent unit becomes exactly 0, without rounding.
    """
    x = x.astype(np.float64)
    return np.where(np.ptp(x, axis=0) == 0, 0.0, x - x.mean(axis=0))


def welch(a: MeanAndVariance, b: MeanAndVariance) -> Welch:
    """Return Welch's test of two sets of stimuli, computed from their moments; see `welch_t`.

    Args:
        a: Moments of condition A.
        b: Moments of condition B.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        error_a, error_b = a.var / a.n, b.var / b.n
        error = error_a + error_b
        t = (a.mean - b.mean) / np.sqrt(error)
        # Without variance in both conditions, Satterthwaite's degrees of freedom are undefined and are set to 1. If the
        # means differ, t is infinite, and p is 0 with any degrees of freedom.
        df = np.where(error == 0, 1.0, error**2 / (error_a**2 / (a.n - 1) + error_b**2 / (b.n - 1)))
        pooled = ((a.n - 1) * a.var + (b.n - 1) * b.var) / (a.n + b.n - 2)
        return Welch(t=t, df=df, d=(a.mean - b.mean) / np.sqrt(pooled))


def grouped_p(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
    groups: Int[np.ndarray, " stimuli"],
) -> Float[np.ndarray, "*labellings units"]:
    """Return the two-sided p of condition A against B where stimuli of one group are not independent of each other.

    This is Welch's test of the means of the groups. Each group is one value, however many stimuli it has. A test that
    weights groups by their size (a cluster-robust standard error) gives far too many small p-values if some groups are
    large and others small. If the difference of the means over stimuli and the difference of the means over groups have
    opposite signs, p is 1.

    Args:
        x: Responses of each unit to each stimulus.
        in_a: True for each stimulus of condition A. Leading axes are alternative labellings. No group has stimuli of
            both conditions.
        in_b: True for each stimulus of condition B.
        groups: A number for each stimulus. Stimuli of one group have equal numbers.
    """
    sums, sizes, first = group_sums(centred(x), groups)
    return p_of_sums(sums, sizes, in_a[..., first], in_b[..., first])


def group_sums(
    x: Float[np.ndarray, "stimuli units"], groups: Int[np.ndarray, " stimuli"]
) -> tuple[Float[np.ndarray, "groups units"], Int[np.ndarray, " groups"], Int[np.ndarray, " groups"]]:
    """Return the sum of the responses of each group, its number of stimuli, and the index of its first stimulus."""
    _, first, number, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), x.shape[1]))
    np.add.at(sums, number, x)
    return sums, sizes, first


def p_of_sums(
    sums: Float[np.ndarray, "groups units"],
    sizes: Int[np.ndarray, " groups"],
    in_a: Bool[np.ndarray, "*labellings groups"],
    in_b: Bool[np.ndarray, "*labellings groups"],
) -> Float[np.ndarray, "*labellings units"]:
    """Return the p of `grouped_p`, computed from the sums and sizes of groups.

    Args:
        sums: Sum of the responses of each group, from `group_sums`.
        sizes: Number of stimuli of each group.
        in_a: True for each group of condition A. Leading axes are alternative labellings.
        in_b: True for each group of condition B.
    """
    a, b = in_a.astype(np.float64), in_b.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        stimulus_difference = a @ sums / (a @ sizes)[..., None] - b @ sums / (b @ sizes)[..., None]
    group_test = welch_t(sums / sizes[:, None], in_a, in_b)
    return np.where(group_test.t * stimulus_difference < 0, 1.0, group_test.p)


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


def q_values(p: Float[np.ndarray, "*labellings units"]) -> Float[np.ndarray, "*labellings units"]:
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
