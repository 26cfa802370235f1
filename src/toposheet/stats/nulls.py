"""What a statistic is without the thing it claims: shuffled labels, and the comparison with null draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Null:
    """A statistic against the draws of its null.

    Args:
        mean: Mean of the draws.
        sd: Their standard deviation (n - 1).
        z: (value - mean) / sd.
        p: One-sided p = (1 + b) / (1 + B), b of B draws being at least the value (Phipson & Smyth 2010,
            doi:10.2202/1544-6115.1585).
    """

    mean: np.ndarray
    sd: np.ndarray
    z: np.ndarray
    p: np.ndarray


def check_permutations(permutations: int) -> None:
    """Refuse a number of draws from which a null has no spread.

    Raises:
        ValueError: there are fewer than 2.
    """
    if permutations < 2:
        raise ValueError(f"permutations is {permutations}: a null needs at least 2")


def against_null(value: np.ndarray | float, draws: Float[np.ndarray, "permutations ..."]) -> Null:
    """Return how a statistic stands in its null. A nan value or draw makes the comparison nan."""
    mean, sd = np.asarray(draws.mean(axis=0)), np.asarray(draws.std(axis=0, ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 0, (value - mean) / sd, np.nan)
    p = (1 + (draws >= value).sum(axis=0)) / (1 + len(draws))
    return Null(mean=mean, sd=sd, z=z, p=np.where(np.isnan(value) | np.isnan(mean), np.nan, p))


def shuffled_labels(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    permutations: int,
    rng: np.random.Generator,
) -> tuple[Bool[np.ndarray, "permutations stimuli"], Bool[np.ndarray, "permutations stimuli"]]:
    """Return labellings in which the stimuli of A and B are dealt out anew, the group sizes kept."""
    either = np.flatnonzero(in_a | in_b)
    a = np.zeros((permutations, len(in_a)), dtype=bool)
    b = a.copy()
    for row in range(permutations):
        order = rng.permutation(either)
        a[row, order[: in_a.sum()]] = True
        b[row, order[in_a.sum() :]] = True
    return a, b
