"""Draws of the null: the recording is moved against the texts, and keeps its own course in time."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int

from toposheet.wording import counted

_ENOUGH = 6  # passages that have 720 orders


def rearrangements(
    n_stimuli: int, passages: Int[np.ndarray, " stimuli"] | None, permutations: int, rng: np.random.Generator
) -> Int[np.ndarray, "permutations stimuli"]:
    """Return draws of the null: for each draw and each stimulus, the row of the recording that it gets.

    Neighbouring rows stay neighbours, because neighbours in time are alike: if single rows were exchanged, a smooth
    recording would be called predicted by anything that is smooth. With at least 6 passages, their order is random:
    whole passages are laid end to end. Otherwise each passage (without passages: the whole recording) is shifted by a
    random number of rows, and what leaves its end enters at its start.

    Args:
        n_stimuli: Number of stimuli, in the order of presentation.
        passages: The passage of each stimulus. None: there are no passages.
        permutations: Number of draws. There are fewer if the recording has fewer different shifts.
        rng: Generator of the random draws.
    """
    runs = _runs(n_stimuli, passages)
    if orders_passages(passages):
        orders = [rng.permutation(len(runs)) for _ in range(permutations)]
        return _stacked([np.concatenate([runs[n] for n in order]) for order in orders], n_stimuli)
    sizes = [len(run) for run in runs]
    n_shifts = math.prod(sizes)
    draws = min(permutations, n_shifts - 1)
    if n_shifts <= 1_000_000:
        numbers = 1 + rng.permutation(n_shifts - 1)[:draws]
        offsets = np.stack(np.unravel_index(numbers, sizes), axis=1)
    else:
        offsets = rng.integers(0, sizes, size=(draws, len(sizes)))
    return _stacked(
        [np.concatenate([np.roll(r, o) for r, o in zip(runs, row, strict=True)]) for row in offsets], n_stimuli
    )


def orders_passages(passages: Int[np.ndarray, " stimuli"] | None) -> bool:
    """Return whether the draws are orders of whole passages. Otherwise they are shifts in a circle."""
    return passages is not None and int(passages.max()) + 1 >= _ENOUGH


def null_in_words(n_stimuli: int, passages: Int[np.ndarray, " stimuli"] | None) -> str:
    """Return what the draws of `rearrangements` do, for a sentence."""
    n = len(_runs(n_stimuli, passages))
    if orders_passages(passages):
        return f"the {counted(n, 'passage')} of the recording in random orders"
    return "the recording shifted in a circle" + (f" within each of {n} passages" if n > 1 else "")


def _stacked(draws: list[np.ndarray], n_stimuli: int) -> np.ndarray:
    return np.array(draws, dtype=int).reshape(len(draws), n_stimuli)


def _runs(n_stimuli: int, passages: np.ndarray | None) -> list[np.ndarray]:
    rows = np.arange(n_stimuli)
    return [rows] if passages is None else [rows[passages == n] for n in range(int(passages.max()) + 1)]
