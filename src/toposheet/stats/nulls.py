"""Null draws by shuffled labels, random signs or shuffled places, and the comparison of a statistic with its null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8


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
    in_a: Bool[np.ndarray, " items"], permutations: int, rng: np.random.Generator
) -> Bool[np.ndarray, "permutations items"]:
    """Return random labellings: each chooses the items of condition A at random. Their number stays the same.

    Args:
        in_a: True for each item of condition A; all other items are in condition B.
        permutations: Number of labellings.
        rng: Generator of the random draws.
    """
    every, n_a = np.arange(len(in_a)), int(in_a.sum())
    labels = np.zeros((permutations, len(in_a)), dtype=bool)
    for row in labels:
        row[rng.permutation(every)[:n_a]] = True
    return labels


def random_signs(permutations: int, n_items: int, rng: np.random.Generator) -> Int8[np.ndarray, "permutations items"]:
    """Return a random sign, 1 or -1, for each item in each draw.

    Args:
        permutations: Number of draws.
        n_items: Number of items.
        rng: Generator of the random draws.
    """
    return np.where(rng.random((permutations, n_items)) < 0.5, -1, 1).astype(np.int8)


def halves(
    samples: Sequence[Bool[np.ndarray, "*draws items"]],
) -> tuple[Bool[np.ndarray, "*draws items"], Bool[np.ndarray, "*draws items"]]:
    """Return two masks: the even items and the odd items of each sample, counted from 0 in order.

    Args:
        samples: For each sample, True for its items. Leading axes are alternative labellings.
    """
    even = np.any([sample & (np.cumsum(sample, axis=-1) % 2 == 1) for sample in samples], axis=0)
    odd = np.any([sample & (np.cumsum(sample, axis=-1) % 2 == 0) for sample in samples], axis=0)
    return even, odd


def reaches(draws: np.ndarray, value: np.ndarray | float, larger: bool = True) -> np.ndarray:
    """Return which draws are at least as extreme as a value. Draws that differ from the value only by rounding count.

    Args:
        draws: The statistic in each null draw.
        value: The value to compare with.
        larger: True: large values are extreme. False: small values are extreme.
    """
    slack = 1e-6 * np.abs(value)
    return draws >= value - slack if larger else draws <= value + slack


def shuffled(n_units: int, permutations: int, rng: np.random.Generator) -> Int[np.ndarray, "permutations units"]:
    """Return random orders of units: for each order and each place, the number of the unit that sits there.

    Args:
        n_units: Number of units.
        permutations: Number of orders.
        rng: Generator of the random draws.
    """
    return rng.permuted(np.tile(np.arange(n_units), (permutations, 1)), axis=1)
