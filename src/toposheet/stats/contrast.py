"""Condition A against condition B, for many units and many labellings at once."""

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
    """The result of a Welch test for each labelling and unit. Silent units (no variance) are nan.

    Args:
        t: Welch's t; positive where condition A has the higher mean.
        df: Its degrees of freedom (Satterthwaite).
        d: Cohen's d: the difference of the means over the pooled standard deviation.
    """

    t: Float[np.ndarray, "*labellings units"]
    df: Float[np.ndarray, "*labellings units"]
    d: Float[np.ndarray, "*labellings units"]

    @cached_property
    def p(self) -> Float[np.ndarray, "*labellings units"]:
        """The two-sided p-value of t, computed when it is first asked for: nulls of t alone need none."""
        return 2 * special.stdtr(self.df, -np.abs(self.t))


@dataclass(frozen=True)
class MeanAndVariance:
    """Number, mean and variance (n - 1) of the stimuli of a group, for each labelling and unit."""

    n: np.ndarray
    mean: Float[np.ndarray, "*labellings units"]
    var: Float[np.ndarray, "*labellings units"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "stimuli units"], member: Bool[np.ndarray, "*labellings stimuli"]
    ) -> MeanAndVariance:
        """Return the moments of groups of stimuli, all labellings by two matrix products.

        Args:
            x: Responses, near zero on the whole: squares of large means would swallow small variances.
            member: Which stimuli are in the group; leading axes are alternative labellings.
        """
        n = member.sum(axis=-1, keepdims=True)
        weights = member.astype(x.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = weights @ x / n
            return cls(n, mean, np.maximum(weights @ x**2 - n * mean**2, 0.0) / (n - 1))

    def __or__(self, other: MeanAndVariance) -> MeanAndVariance:
        """Return the moments of two groups together (Chan et al. 1983, doi:10.1080/00031305.1983.10483115)."""
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
        x: Responses.
        in_a: Which stimuli are in condition A; leading axes are alternative labellings.
        in_b: Which stimuli are in condition B.

    Raises:
        UserError: a condition has fewer than 2 stimuli.
    """
    n_a, n_b = in_a.sum(axis=-1), in_b.sum(axis=-1)
    if min(n_a.min(), n_b.min()) < 2:
        raise UserError(f"a contrast needs at least 2 stimuli a condition, got {n_a.min()} and {n_b.min()}")
    x = centred(x)
    return welch(MeanAndVariance.of(x, in_a), MeanAndVariance.of(x, in_b))


def centred(x: Float[np.ndarray, "stimuli units"]) -> Float[np.ndarray, "stimuli units"]:
    """Return responses in float64 less each unit's mean, exactly 0 where a unit is silent."""
    x = x.astype(np.float64)
    return np.where(np.ptp(x, axis=0) == 0, 0.0, x - x.mean(axis=0))


def welch(a: MeanAndVariance, b: MeanAndVariance) -> Welch:
    """Return Welch's test of two groups known by their moments; see `welch_t`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error_a, error_b = a.var / a.n, b.var / b.n
        error = error_a + error_b
        t = (a.mean - b.mean) / np.sqrt(error)
        # Groups that do not vary but differ (t infinite) have no Satterthwaite degrees of freedom; p is 0 with any.
        df = np.where(error == 0, 1.0, error**2 / (error_a**2 / (a.n - 1) + error_b**2 / (b.n - 1)))
        pooled = ((a.n - 1) * a.var + (b.n - 1) * b.var) / (a.n + b.n - 2)
        return Welch(t=t, df=df, d=(a.mean - b.mean) / np.sqrt(pooled))


def grouped_p(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
    groups: Int[np.ndarray, " stimuli"],
) -> Float[np.ndarray, "*labellings units"]:
    """Return the two-sided p of condition A against B where stimuli of a group are not independent of each other.

    Welch's test of the groups' means, each group one value however many stimuli it has: where groups are large and
    small, a test that weighs them by size (a cluster-robust standard error) finds far too much. Where the means of all
    stimuli differ the other way than those of groups do, p is 1.

    Args:
        x: Responses.
        in_a: Which stimuli are in condition A; leading axes are alternative labellings. Groups lie within conditions.
        in_b: Which stimuli are in condition B.
        groups: Equal numbers for stimuli of a group.
    """
    sums, sizes, first = group_sums(centred(x), groups)
    return p_of_sums(sums, sizes, in_a[..., first], in_b[..., first])


def group_sums(
    x: Float[np.ndarray, "stimuli units"], groups: Int[np.ndarray, " stimuli"]
) -> tuple[Float[np.ndarray, "groups units"], Int[np.ndarray, " groups"], Int[np.ndarray, " groups"]]:
    """Return the sum of the responses of each group, how many stimuli it has, and which is its first."""
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
    """Return the p of `grouped_p` from what `group_sums` gave."""
    a, b = in_a.astype(np.float64), in_b.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        stimulus_difference = a @ sums / (a @ sizes)[..., None] - b @ sums / (b @ sizes)[..., None]
    group_test = welch_t(sums / sizes[:, None], in_a, in_b)
    return np.where(group_test.t * stimulus_difference < 0, 1.0, group_test.p)


def residuals(
    x: Float[np.ndarray, "stimuli units"], confounds: Float[np.ndarray, "stimuli confounds"]
) -> Float[np.ndarray, "stimuli units"]:
    """Return what a linear regression on confounds (and a constant) leaves of responses, the means kept.

    Args:
        x: Responses.
        confounds: What to take out, e.g. length and frequency of each text.
    """
    design = confounds - confounds.mean(axis=0)
    x, mean = x.astype(np.float64), x.mean(axis=0, dtype=np.float64)
    return x - design @ np.linalg.lstsq(design, x - mean, rcond=None)[0]


def q_values(p: Float[np.ndarray, "*labellings units"]) -> Float[np.ndarray, "*labellings units"]:
    """Return false-discovery-rate adjusted p-values over the last axis (Benjamini & Hochberg 1995).

    Units whose p is nan (silent units) are not tested: they stay nan and do not count.
    doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    q = np.full(p.shape, np.nan)
    for row in np.ndindex(p.shape[:-1]):
        tested = np.isfinite(p[row])
        if tested.any():
            q[row][tested] = scipy_stats.false_discovery_control(p[row][tested])
    return q
