"""What a statistic is without the thing it claims: shuffled labels or places, and the comparison with null draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.errors import UserError


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

    def columns(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return the columns of a table of statistics that say where they stand: null_mean, null_sd, z and p."""
        columns = {"null_mean": self.mean, "null_sd": self.sd, "z": self.z, "p": self.p}
        return {prefix + name: column for name, column in columns.items()}


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
        z = np.where(sd > 1e-9 * np.abs(mean), (value - mean) / sd, np.nan)
    p = (1 + reaches(draws, value, larger).sum(axis=0)) / (1 + n)  # a nan reaches nothing
    p = np.where(np.isnan(value) | np.isnan(mean), np.nan, p)
    return Null(mean=mean, sd=sd, z=z, p=p, undefined=np.asarray(1 - n / len(draws)))


def shuffled_labels(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    permutations: int,
    rng: np.random.Generator,
    groups: Int[np.ndarray, " stimuli"] | None = None,
) -> tuple[Bool[np.ndarray, "permutations stimuli"], Bool[np.ndarray, "permutations stimuli"]]:
    """Return labellings in which the stimuli of A and B are dealt out anew, as many (or as many groups) to each.

    Args:
        in_a: Which stimuli are in condition A.
        in_b: Which are in condition B.
        permutations: How many labellings.
        rng: Source of the randomness.
        groups: Stimuli that are not independent of each other (texts that share words) have the same number: they
            keep one label, or else chance would make effects of the words they share.

    Raises:
        UserError: a group has stimuli of both conditions, or a condition has fewer than 3 groups.
    """
    check_groups(in_a, in_b, groups)
    numbers = np.arange(len(in_a)) if groups is None else groups
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    group_a, group_b = in_a[first], in_b[first]
    either = np.flatnonzero(group_a | group_b)
    a = np.zeros((permutations, len(first)), dtype=bool)
    b = a.copy()
    for row in range(permutations):
        order = rng.permutation(either)
        a[row, order[: group_a.sum()]] = True
        b[row, order[group_a.sum() :]] = True
    return a[:, group], b[:, group]


def flipped_pairs(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    permutations: int,
    rng: np.random.Generator,
    pairs: Int[np.ndarray, " stimuli"],
) -> tuple[Bool[np.ndarray, "permutations stimuli"], Bool[np.ndarray, "permutations stimuli"]]:
    """Return labellings in which the partners of each pair change conditions, or do not, by the toss of a coin.

    Args:
        in_a: Which stimuli are in condition A.
        in_b: Which are in condition B.
        permutations: How many labellings.
        rng: Source of the randomness.
        pairs: The partners of a pair, one in each condition, have the same number.
    """
    flipped = (rng.random((permutations, int(pairs.max()) + 1)) < 0.5)[:, pairs]
    return np.where(flipped, in_b, in_a), np.where(flipped, in_a, in_b)


def check_groups(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    groups: Int[np.ndarray, " stimuli"] | None,
    column: str = "shared_words",
) -> None:
    """Refuse groups of stimuli that conditions cut through, or too few of them.

    Args:
        in_a: Which stimuli are in condition A.
        in_b: Which are in condition B.
        groups: Equal numbers for stimuli of a group; None: there are no groups.
        column: What the groups are called in the stimuli.

    Raises:
        UserError: a group has stimuli of both conditions, or a condition has fewer than 3 groups.
    """
    if groups is None:
        return
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    if (in_a != in_a[first][group])[in_a | in_b].any() or (in_b != in_b[first][group])[in_a | in_b].any():
        raise UserError(
            f"stimuli of either condition have the same {column}: groups must lie within conditions; drop the "
            "column to take all texts for independent"
        )
    n_a, n_b = int(in_a[first].sum()), int(in_b[first].sum())
    if min(n_a, n_b) < 3:
        raise UserError(
            f"the stimuli make {n_a} and {n_b} groups (column {column}): at least 3 a condition are needed; drop "
            "the column (of pairs: call pair text, class condition) to take all texts for independent"
        )


def halves(
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
    groups: Int[np.ndarray, " stimuli"] | None = None,
) -> tuple[Bool[np.ndarray, "*labellings stimuli"], Bool[np.ndarray, "*labellings stimuli"]]:
    """Return the even and the odd stimuli of both conditions, counted from 0 within each; groups are not split."""
    numbers = np.arange(in_a.shape[-1]) if groups is None else groups
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    place = np.argsort(by_appearance)[group]
    group_a, group_b = in_a[..., first[by_appearance]], in_b[..., first[by_appearance]]
    rank = np.where(group_a, np.cumsum(group_a, axis=-1), np.cumsum(group_b, axis=-1)) - 1
    return (rank % 2 == 0)[..., place], (rank % 2 == 1)[..., place]


def reaches(draws: np.ndarray, value: np.ndarray | float, larger: bool = True) -> np.ndarray:
    """Return which draws are at least as extreme as a value, equal but for rounding included."""
    slack = 1e-6 * np.abs(value)
    return draws >= value - slack if larger else draws <= value + slack


def shuffled_within(
    groups: Int[np.ndarray, " units"], permutations: int, rng: np.random.Generator
) -> Int[np.ndarray, "permutations units"]:
    """Return orders of units in which every unit has changed places with others of its own group (its tap) only."""
    orders = np.tile(np.arange(len(groups)), (permutations, 1))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        orders[:, members] = rng.permuted(orders[:, members], axis=1)
    return orders
