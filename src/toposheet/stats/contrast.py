"""Condition A against condition B, for many units and many labellings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special
from scipy import stats as scipy_stats


@dataclass(frozen=True)
class Welch:
    """The result of a Welch test for each labelling and unit. Silent units (no variance) are nan.

    Args:
        t: Welch's t; positive where condition A has the higher mean.
        p: Its two-sided p-value.
        d: Cohen's d: the difference of the means over the pooled standard deviation.
    """

    t: Float[np.ndarray, "*labellings units"]
    p: Float[np.ndarray, "*labellings units"]
    d: Float[np.ndarray, "*labellings units"]


def welch_t(
    x: Float[np.ndarray, "stimuli units"],
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
) -> Welch:
    """Return Welch's t of condition A against B (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    t = (mean_a - mean_b) / sqrt(var_a / n_a + var_b / n_b), with the degrees of freedom of Satterthwaite.
    All labellings are computed by two matrix products, which makes label permutations cheap.

    Args:
        x: Responses.
        in_a: Which stimuli are in condition A; leading axes are alternative labellings.
        in_b: Which stimuli are in condition B.

    Raises:
        ValueError: a condition has fewer than 2 stimuli.
    """
    n_a, n_b = in_a.sum(axis=-1, keepdims=True), in_b.sum(axis=-1, keepdims=True)
    if min(n_a.min(), n_b.min()) < 2:
        raise ValueError(f"a contrast needs at least 2 stimuli a condition, got {n_a.min()} and {n_b.min()}")
    x = x.astype(np.float64)
    silent = np.ptp(x, axis=0) == 0
    x = x - x.mean(axis=0)
    mean_a, var_a = _moments(x, in_a, n_a)
    mean_b, var_b = _moments(x, in_b, n_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        error_a, error_b = var_a / n_a, var_b / n_b
        t = (mean_a - mean_b) / np.sqrt(error_a + error_b)
        # Groups that do not vary but differ (t infinite) have no Satterthwaite degrees of freedom; p is 0 with any.
        df = np.where(
            error_a + error_b == 0, 1.0, (error_a + error_b) ** 2 / (error_a**2 / (n_a - 1) + error_b**2 / (n_b - 1))
        )
        pooled = ((n_a - 1) * var_a + (n_b - 1) * var_b) / (n_a + n_b - 2)
        d = (mean_a - mean_b) / np.sqrt(pooled)
    t, d = np.where(silent, np.nan, t), np.where(silent, np.nan, d)
    return Welch(t=t, p=2 * special.stdtr(df, -np.abs(t)), d=d)


def _moments(x: np.ndarray, member: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = member.astype(np.float64)
    mean = weights @ x / n
    return mean, np.maximum(weights @ x**2 - n * mean**2, 0.0) / (n - 1)


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
