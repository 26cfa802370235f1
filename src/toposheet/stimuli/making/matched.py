"""Choosing words for several cells (class x category) so that the cells are matched in length, frequency and tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.errors import UserError
from toposheet.wording import equals_p

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
    """Return `n` rows of every pool. Rows in the same position of different pools are similar in the features.

    Up to 2 n rows are drawn from the smallest pool. Each of them gets a different partner from every other pool, by
    linear assignment of the squared distances between standardised features. The n rows with the nearest partners are
    kept. All of this is repeated with new draws until every p of `p_values` is larger than 0.2.

    Args:
        pools: The words of each cell.
        features: Names of the columns in which the words are matched.
        n: Number of rows to choose from each pool.
        rng: The random generator of the draws.
        p_values: A function of the chosen rows. It returns the p of the difference between cells for each measure in
            which the cells must not differ.

    Raises:
        UserError: A pool has fewer than `n` rows, or in all 50 draws a measure had a p of 0.2 or less. The message
            says the numbers.
    """
    smallest = min(pools, key=lambda cell: len(pools[cell]))
    if (available := len(pools[smallest])) < n:
        raise UserError(f"only {available} words are {' and '.join(smallest)}, but {n} are needed: ask for fewer words")
    spread = pd.concat(list(pools.values()))[list(features)].std().replace(0, 1).to_numpy()

    def scaled(rows: pd.DataFrame) -> np.ndarray:
        return rows[list(features)].to_numpy(dtype=float) / spread

    def drawn(cell: Cell) -> pd.DataFrame:
        # Only a part of each pool is used, so that the choice of words differs between draws and between seeds.
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
    achieved = ", ".join(f"{name} {equals_p(value)}" for name, value in best.items())
    raise UserError(
        f"{DRAWS} draws gave no {n} words for each of {len(pools)} cells that are matched in every measure (all p > "
        f"{MATCHED_FROM_P}); the best draw had {achieved}: ask for fewer words or use another seed"
    )


def _partners(words: pd.DataFrame, pool: pd.DataFrame, scaled: Callable[[pd.DataFrame], np.ndarray]) -> pd.DataFrame:
    """Return a partner from the pool for each word: a row with similar features. Each row is used once.

    In a pool with few high values the partners are lower than the words on average, and the other way round. To correct
    this, the mean difference is subtracted from the features of the words, and the partners are chosen again, twice.
    """
    wanted, available = scaled(words), scaled(pool)

    def nearest(aim: np.ndarray) -> np.ndarray:
        return linear_sum_assignment(cdist(aim, available, "sqeuclidean"))[1]

    aim, rows = wanted, nearest(wanted)
    for _ in range(2):
        aim = aim - (available[rows] - wanted).mean(axis=0)
        rows = nearest(aim)
    return pool.iloc[rows]
