"""Null draws by shuffled labels or shuffled places, and the comparison of a statistic with its null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.errors import UserError


@dataclass(frozen=True)
class Null:
    """A statistic compared with the draws of its null.

    Args:
        mean: Mean of the draws.
        sd: Standard deviation of the draws (denominator n - 1).
        z: (value - mean) / sd.
        p: One-sided p = (1 + b) / (1 + B): of B draws, b are at least as extreme as the value (Phipson & Smyth 2010,
            doi:10.2202/1544-6115.1585).
        undefined: Fraction of the draws in which the statistic is undefined (nan). These draws are left out of mean,
            sd, z and p.
    """

    mean: np.ndarray
    sd: np.ndarray
    z: np.ndarray
    p: np.ndarray
    undefined: np.ndarray

    def columns(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return null_mean, null_sd, z and p as columns of a table.

        Args:
            prefix: Text before the name of each column, for example `label_`.
        """
        columns = {"null_mean": self.mean, "null_sd": self.sd, "z": self.z, "p": self.p}
        return {prefix + name: column for name, column in columns.items()}


def against_null(value: np.ndarray | float, draws: Float[np.ndarray, "permutations ..."], larger: bool = True) -> Null:
    """Return the comparison of a statistic with draws of its null.

    Args:
        value: The statistic. Where it is nan (undefined), z and p are nan.
        draws: The same statistic in each null draw. Draws that are nan are left out and counted. With fewer than 2
            remaining draws, mean, sd, z and p are nan.
        larger: True: large values are extreme. False: small values are extreme.
    """
    defined = np.isfinite(draws)
    n = defined.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 1, np.where(defined, draws, 0.0).sum(axis=0) / n, np.nan)
        squares = np.where(defined, draws - mean, 0.0) ** 2
        sd = np.where(n > 1, np.sqrt(squares.sum(axis=0) / (n - 1)), np.nan)
        z = np.where(sd > 1e-9 * np.abs(mean), (value - mean) / sd, np.nan)
    p = (1 + reaches(draws, value, larger).sum(axis=0)) / (1 + n)  # a nan is never extreme
    p = np.where(np.isnan(value) | np.isnan(mean), np.nan, p)
    return Null(mean=mean, sd=sd, z=z, p=p, undefined=np.asarray(1 - n / len(draws)))


def shuffled_labels(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    permutations: int,
    rng: np.random.Generator,
    groups: Int[np.ndarray, " stimuli"] | None = None,
) -> tuple[Bool[np.ndarray, "permutations stimuli"], Bool[np.ndarray, "permutations stimuli"]]:
    """Return random labellings: each assigns the stimuli of A and B to the two conditions at random.

    The numbers of stimuli in A and in B stay the same. With groups, the numbers of groups in A and in B stay the same.

    Args:
        in_a: True for each stimulus of condition A.
        in_b: True for each stimulus of condition B.
        permutations: Number of labellings.
        rng: Generator of the random draws.
        groups: A number for each stimulus. Stimuli of one group have the same number. They are not independent of each
            other, for example because the texts share words. All stimuli of a group get the same label. Otherwise an
            effect of the shared words could look like an effect of the contrast. None: all stimuli are independent.

    Returns:
        Two masks: the stimuli of condition A, and the stimuli of condition B, in each labelling.

    Raises:
        UserError: A group has stimuli of both conditions, or a condition has fewer than 3 groups.
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
    """Return random labellings: in each, the two partners of a pair exchange their conditions with probability 1/2.

    Args:
        in_a: True for each stimulus of condition A.
        in_b: True for each stimulus of condition B.
        permutations: Number of labellings.
        rng: Generator of the random draws.
        pairs: A number for each stimulus. The two partners of a pair, one in each condition, have equal numbers.
    """
    flipped = (rng.random((permutations, int(pairs.max()) + 1)) < 0.5)[:, pairs]
    return np.where(flipped, in_b, in_a), np.where(flipped, in_a, in_b)


def check_groups(
    in_a: Bool[np.ndarray, " stimuli"],
    in_b: Bool[np.ndarray, " stimuli"],
    groups: Int[np.ndarray, " stimuli"] | None,
    column: str = "shared_words",
) -> None:
    """Refuse groups that have stimuli of both conditions, and conditions with too few groups.

    Args:
        in_a: True for each stimulus of condition A.
        in_b: True for each stimulus of condition B.
        groups: A number for each stimulus. Stimuli of one group have the same number. None: nothing is checked.
        column: Name of the column of the stimuli that defines the groups, for the error message.

    Raises:
        UserError: A group has stimuli of both conditions, or a condition has fewer than 3 groups.
    """
    if groups is None:
        return
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    if (in_a != in_a[first][group])[in_a | in_b].any() or (in_b != in_b[first][group])[in_a | in_b].any():
        raise UserError(
            f"the two conditions share a value of the column {column!r}: stimuli with one value belong together, so "
            "they must be in one condition. Give each condition values of its own, or remove the column"
        )
    n_a, n_b = int(in_a[first].sum()), int(in_b[first].sum())
    if min(n_a, n_b) < 3:
        raise UserError(
            f"the conditions have {n_a} and {n_b} groups (column {column!r}): each condition needs at least 3 groups. "
            "Add stimuli that share no words, or remove the column to treat all texts as independent (in a file of "
            "word pairs: rename the column pair to text and the column class to condition)"
        )


def halves(
    in_a: Bool[np.ndarray, "*labellings stimuli"],
    in_b: Bool[np.ndarray, "*labellings stimuli"],
    groups: Int[np.ndarray, " stimuli"] | None = None,
) -> tuple[Bool[np.ndarray, "*labellings stimuli"], Bool[np.ndarray, "*labellings stimuli"]]:
    """Return two masks: the even stimuli and the odd stimuli of both conditions.

    Within each condition the stimuli are counted from 0, in order. With groups, the groups are counted instead, in the
    order of their first stimulus. No group is split.

    Args:
        in_a: True for each stimulus of condition A. Leading axes are alternative labellings.
        in_b: True for each stimulus of condition B.
        groups: A number for each stimulus. Stimuli of one group have the same number. None: there are no groups.
    """
    numbers = np.arange(in_a.shape[-1]) if groups is None else groups
    _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    place = np.argsort(by_appearance)[group]
    group_a, group_b = in_a[..., first[by_appearance]], in_b[..., first[by_appearance]]
    rank = np.where(group_a, np.cumsum(group_a, axis=-1), np.cumsum(group_b, axis=-1)) - 1
    return (rank % 2 == 0)[..., place], (rank % 2 == 1)[..., place]


def reaches(draws: np.ndarray, value: np.ndarray | float, larger: bool = True) -> np.ndarray:
    """Return which draws are at least as extreme as a value. Draws that differ from the value only by rounding count.

    Args:
        draws: The statistic in each null draw.
        value: The value to compare with.
        larger: True: large values are extreme. False: small values are extreme.
    """
    slack = 1e-6 * np.abs(value)
    return draws >= value - slack if larger else draws <= value + slack


def shuffled_within(
    groups: Int[np.ndarray, " units"], permutations: int, rng: np.random.Generator
) -> Int[np.ndarray, "permutations units"]:
    """Return random orders of units, in which units change places only within their group.

    Args:
        groups: A number for each unit. Units of one group (one tap) have the same number.
        permutations: Number of orders.
        rng: Generator of the random draws.

    Returns:
        For each order and each place, the number of the unit that sits there.
    """
    orders = np.tile(np.arange(len(groups)), (permutations, 1))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        orders[:, members] = rng.permuted(orders[:, members], axis=1)
    return orders
