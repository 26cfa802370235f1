"""Folds of stimuli for cross-validation: contiguous in time, so that neighbours of a test stimulus train nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError
from toposheet.settings import check_count

FOLDS = 5
_GAP = 5  # stimuli
_PARTS = 4  # blocks of a fold, if there are no passages


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold of each stimulus. Each fold is predicted once, by a model that was fitted to the others.

    Args:
        of_stimuli: The number of the fold of each stimulus, from 0.
        gap: Stimuli that are at most this number of rows away from a test stimulus do not train.
    """

    of_stimuli: Int[np.ndarray, " stimuli"]
    gap: int = 0

    @property
    def n_folds(self) -> int:
        """The number of folds."""
        return int(self.of_stimuli.max()) + 1

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows that train and the rows that are predicted, fold after fold."""
        everything = np.arange(len(self.of_stimuli))
        for fold in range(self.n_folds):
            yield self._split(everything, fold)

    def within(self, train: Int[np.ndarray, " training"]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the nested folds of training rows, which choose penalties: each other fold is left out once.

        Args:
            train: Rows that train. The results are positions in this array.
        """
        splits = [self._split(train, fold) for fold in np.unique(self.of_stimuli[train]).tolist()]
        return [(np.searchsorted(train, inner), np.searchsorted(train, left_out)) for inner, left_out in splits]

    def training_means(self, y: Float[np.ndarray, "stimuli targets"]) -> Float[np.ndarray, "stimuli targets"]:
        """Return what is predicted without features: for each stimulus, the mean of the rows that train its fold."""
        means = np.empty_like(y)
        for train, test in self:
            means[test] = y[train].mean(axis=0)
        return means

    def centred(self, values: Float[np.ndarray, "stimuli targets"]) -> Float[np.ndarray, "stimuli targets"]:
        """Return values minus their mean in each fold."""
        values = values.copy()
        for fold in range(self.n_folds):
            values[self.of_stimuli == fold] -= values[self.of_stimuli == fold].mean(axis=0)
        return values

    def _split(self, rows: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
        left_out = self.of_stimuli[rows] == fold
        test = rows[left_out]
        after = np.searchsorted(test, rows)
        to_next = np.abs(test[np.minimum(after, len(test) - 1)] - rows)
        to_last = np.abs(rows - test[np.maximum(after - 1, 0)])
        return rows[~left_out & (np.minimum(to_next, to_last) > self.gap)], test


def blocks_of(n_stimuli: int, passages: Int[np.ndarray, " stimuli"] | None, folds: int) -> Int[np.ndarray, " stimuli"]:
    """Return the block of each stimulus: its passage, or one of equal contiguous parts, four in each fold.

    Args:
        n_stimuli: Number of stimuli, in the order of presentation.
        passages: The passage of each stimulus. None: there are no passages.
        folds: Number of folds.

    Raises:
        UserError: There are fewer than 3 folds, or fewer passages or stimuli than folds need.
    """
    check_count("folds", folds, 3, ", because penalties are chosen in nested folds")
    if passages is not None:
        if (n := int(passages.max()) + 1) < folds:
            advice = f"choose {n} folds" if n >= 3 else "leave passages out, so that folds are contiguous blocks"
            raise UserError(
                f"there are {n} passages for {folds} folds of whole passages, of at least 3 folds: {advice}"
            )
        return passages
    if n_stimuli < 3 * folds:
        raise UserError(f"there are {n_stimuli} stimuli for {folds} folds: a fold needs at least 3 stimuli")
    return _equal_parts(n_stimuli, folds * min(_PARTS, n_stimuli // folds))


def gap_of(gap: int | None, passages: Int[np.ndarray, " stimuli"] | None) -> int:
    """Return the gap between stimuli that count as near each other in time.

    Args:
        gap: The gap, in stimuli. None: 5, or 0 if there are passages, because whole passages stay together.
        passages: The passage of each stimulus. None: there are no passages.

    Raises:
        UserError: The gap is negative, or no whole number.
    """
    if gap is None:
        return _GAP if passages is None else 0
    check_count("gap", gap, 0, " stimuli")
    return gap


def make_folds(
    blocks: Int[np.ndarray, " stimuli"], folds: int, gap: int, shuffled: bool, rng: np.random.Generator
) -> Folds:
    """Return folds of whole blocks, contiguous in time; or, only for comparison, folds of single stimuli at random.

    Args:
        blocks: The block of each stimulus.
        folds: Number of folds. Each has about the same number of blocks.
        gap: See `Folds`. Random folds have no gap.
        shuffled: Whether stimuli are put into folds at random. Neighbours in time are alike in recordings and in
            models, so such folds give high scores to anything that is smooth in time.
        rng: Generator of the random folds.

    Raises:
        UserError: The gap leaves too few stimuli to train on.
    """
    n = len(blocks)
    if shuffled:
        return Folds(rng.permutation(_equal_parts(n, folds)))
    made = Folds(_equal_parts(int(blocks.max()) + 1, folds)[blocks], gap)
    smallest = min(len(inner) for train, _ in made for inner, _ in made.within(train))
    if smallest < 3:
        raise UserError(f"gap is {gap}: it leaves {smallest} of {n} stimuli to train on; choose a smaller gap")
    return made


def _equal_parts(n: int, parts: int) -> np.ndarray:
    return np.repeat(np.arange(parts), [len(part) for part in np.array_split(np.arange(n), parts)])
