"""Choosing words so that conditions differ in nothing but what they are meant to differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.errors import UserError

MATCHED_FROM_P = 0.2
DRAWS = 50

Cell = tuple[str, str]  # class and category


def matched(
    pools: Mapping[Cell, pd.DataFrame],
    features: Sequence[str],
    n: int,
    rng: np.random.Generator,
    p_values: Callable[[dict[Cell, pd.DataFrame]], dict[str, float]],
) -> dict[Cell, pd.DataFrame]:
    """Return rows of every pool such that the first of each are alike, the second, and so on.

    Up to twice as many rows as needed are drawn from the smallest pool; each gets the row of every other pool that is
    nearest in the standardised features, no row twice (linear assignment of squared distances); those with the nearest
    partners are kept. All is drawn again until no measure differs between cells.

    Args:
        pools: The words of each cell.
        features: Columns to match.
        n: How many rows of each cell are wanted.
        rng: Decides which.
        p_values: p of the difference between cells, of every measure in which there shall be none.

    Raises:
        UserError: a pool has fewer than `n` rows, or a measure has p of 0.2 or less in every draw; says the numbers.
    """
    smallest = min(pools, key=lambda cell: len(pools[cell]))
    if (available := len(pools[smallest])) < n:
        raise UserError(f"{available} words are {' and '.join(smallest)}, {n} are needed: ask for fewer")
    spread = pd.concat(list(pools.values()))[list(features)].std().replace(0, 1).to_numpy()

    def scaled(rows: pd.DataFrame) -> np.ndarray:
        return rows[list(features)].to_numpy(dtype=float) / spread

    def drawn(cell: Cell) -> pd.DataFrame:
        # A part of each pool, so that every draw and every seed has other words to choose from.
        most = (
            min(2 * n, (n + available + 1) // 2) if cell == smallest else max(n, min(30 * n, len(pools[cell]) * 3 // 4))
        )
        return pools[cell].iloc[rng.permutation(len(pools[cell]))[:most]]

    best: dict[str, float] = {}
    for _ in range(DRAWS):
        first = drawn(smallest)
        chosen = {cell: first if cell == smallest else _partners(first, drawn(cell), scaled) for cell in pools}
        distance = np.sum([(scaled(rows) - scaled(first)) ** 2 for rows in chosen.values()], axis=(0, 2))
        kept = np.sort(np.argsort(distance, kind="stable")[:n])
        chosen = {cell: rows.iloc[kept] for cell, rows in chosen.items()}
        p = p_values(chosen)
        if min(p.values()) > MATCHED_FROM_P:
            return chosen
        best = max(best, p, key=lambda p: min(p.values(), default=0.0))
    achieved = ", ".join(f"{name} p = {value:.3f}" for name, value in best.items())
    raise UserError(
        f"no {n} words of each of {len(pools)} cells are alike in every measure (all p > {MATCHED_FROM_P}) in {DRAWS} "
        f"draws; the best had {achieved}: ask for fewer words or take another seed"
    )


def _partners(words: pd.DataFrame, pool: pd.DataFrame, scaled: Callable[[pd.DataFrame], np.ndarray]) -> pd.DataFrame:
    """Return for each word the row of a pool nearest to it, no row twice, with about the mean of the words.

    Where the pool has few rows on one side of a word, its partner is on the other; what that adds up to is aimed off.
    """
    wanted, available = scaled(words), scaled(pool)

    def nearest(aim: np.ndarray) -> np.ndarray:
        return linear_sum_assignment(cdist(aim, available, "sqeuclidean"))[1]

    aim, rows = wanted, nearest(wanted)
    for _ in range(2):
        aim = aim - (available[rows] - wanted).mean(axis=0)
        rows = nearest(aim)
    return pool.iloc[rows]
