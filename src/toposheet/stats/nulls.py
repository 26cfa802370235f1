"""What a statistic is without the thing it claims: shuffled labels or places, and the comparison with null draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Null:
    """A statistic against the draws of its null.

    Args:
        mean: Mean of the draws.
        sd: Their standard deviation (n - 1).
        z: (value - mean) / sd.
        p: One-sided p = (1 + b) / (1 + B), b of B draws being at least as extreme as the value (Phipson & Smyth
            2010, doi:10.2202/1544-6115.1585).
        undefined: Share of all draws in which the statistic was not defined (nan); the others are the null.
    """

    mean: np.ndarray
    sd: np.ndarray
    z: np.ndarray
    p: np.ndarray
    undefined: np.ndarray


def check_permutations(permutations: int) -> None:
    """Refuse a number of draws from which a null has no spread.

    Raises:
        ValueError: there are fewer than 2.
    """
    if permutations < 2:
        raise ValueError(f"permutations is {permutations}: a null needs at least 2")


def against_null(value: np.ndarray | float, draws: Float[np.ndarray, "permutations ..."], larger: bool = True) -> Null:
    """Return how a statistic stands in its null.

    Args:
        value: The statistic; nan where it is not defined, which makes z and p nan.
        draws: The same statistic of null draws. Those that are nan are left out and counted; where fewer than 2
            are left there is no null.
        larger: Whether large values are the extreme ones; else small ones.
    """
    defined = np.isfinite(draws)
    n = defined.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 1, np.where(defined, draws, 0.0).sum(axis=0) / n, np.nan)
        squares = np.where(defined, draws - mean, 0.0) ** 2
        sd = np.where(n > 1, np.sqrt(squares.sum(axis=0) / (n - 1)), np.nan)
        z = np.where(sd > 0, (value - mean) / sd, np.nan)
    extreme = (draws >= value) if larger else (draws <= value)  # a nan is neither
    p = (1 + extreme.sum(axis=0)) / (1 + n)
    p = np.where(np.isnan(value) | np.isnan(mean), np.nan, p)
    return Null(mean=mean, sd=sd, z=z, p=p, undefined=np.asarray(1 - n / len(draws)))


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


def shuffled_within(
    groups: Int[np.ndarray, " units"], permutations: int, rng: np.random.Generator
) -> Int[np.ndarray, "permutations units"]:
    """Return orders of units in which every unit has changed places with others of its own group (its tap) only."""
    orders = np.tile(np.arange(len(groups)), (permutations, 1))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        orders[:, members] = rng.permuted(orders[:, members], axis=1)
    return orders
