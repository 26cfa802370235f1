"""Where the units of a tap sit: places that make near units respond alike, while the weights stay as they are.

With the weights fixed, the correlations r between units are fixed too. The spatial loss of TopoLM is then a function of
the places alone: the mean over windows of (1 - corr(r, d)) / 2, with d = 1 / (1 + distance). If r had the same spread
in all windows, this loss would be lowest where

    gain = sum over pairs of units u, v of  r(u, v) * K(cell of u, cell of v)

is highest. K(a, b) is the number of windows that hold both cells, times d(a, b) minus the mean of d over the pairs of a
window: near pairs should be alike, distant pairs in one window should not. To find the best places is a quadratic
assignment problem (Koopmans and Beckmann 1957, doi:10.2307/1907742), which no method solves exactly for hundreds of
units. The methods here approach it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import eigsh

from toposheet.settings import Metric
from toposheet.sheet import Sheet, distances
from toposheet.sheet.neighborhoods import nearness_in, window_shape
from toposheet.topography.objectives.windows import windows_of

_SMALLEST = 1e-9  # a unit whose weights sum to a smaller part of the largest weight has no links to others
_LEAST = 5e-6  # a round that raises the gain by a smaller part of it, for each unit of a block, changes little
_SMALL_SHEET = 576  # cells; on a smaller sheet, one round that changes little does not show that the next will


class HowToPlace(NamedTuple):
    """How a method places units.

    Args:
        start: The first places.
        block: Number of units that exchange their cells at once.
        rounds: The largest number of rounds in which units exchange their cells. 0: they keep the first places.
    """

    start: Literal["random", "shared", "spectral"]
    block: int = 2
    rounds: int = 0

    def block_of(self, n_units: int) -> int:
        """Return the number of units of a block. Units outside of it decide what is best: it has at most a quarter."""
        return max(2, min(self.block, n_units // 4))


def correlations_of(x: Float[np.ndarray, "tokens units"]) -> Float[np.ndarray, "units units"]:
    """Return the correlation of each two units over tokens. A silent unit has the correlation 0 with all others.

    Args:
        x: The activation of each unit at each token.
    """
    z = standardised(x)
    return z.T @ z


def standardised(x: Float[np.ndarray, "tokens units"]) -> Float[np.ndarray, "tokens units"]:
    """Return activations minus their mean, divided so that the product of two units is their correlation.

    Args:
        x: The activation of each unit at each token.
    """
    deviations = x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    length = np.sqrt((deviations**2).sum(axis=0, dtype=np.float64)).astype(x.dtype)
    deviations /= np.where(length > 0, length, 1.0)
    return deviations


def pair_gains(
    shape: tuple[int, int], radius: int, metric: str = "chebyshev", window: str = "open", shuffled: bool = False
) -> Float[np.ndarray, "cells cells"]:
    """Return what a correlation of two units adds to the gain, for each two cells of a sheet: K of the module.

    Args:
        shape: Height and width of the sheet, in cells.
        radius: Radius of the windows, in cells, see `spatial_loss`.
        metric: Distance between two cells.
        window: Which cells a window has.
        shuffled: Whether nearness is shuffled among the pairs of cells, as in the objective `shuffled_correlation`.
    """
    cells = np.stack(np.divmod(np.arange(shape[0] * shape[1]), shape[1]), axis=1)
    sheet = Sheet(shape, {"all": cells})
    windows = windows_of(sheet, radius, metric, window, shuffled, torch.device("cpu"))
    nearness = windows.nearness[0].double().numpy()
    pairs = ~np.eye(len(nearness), dtype=bool)
    gains = np.where(pairs, nearness - nearness[pairs].mean(), 0.0)
    result = np.zeros((len(cells), len(cells)))
    for units in windows.units.numpy():
        result[np.ix_(units, units)] += gains
    return result


def gains_between(
    these: Int[np.ndarray, "these 2"],
    others: Int[np.ndarray, "others 2"],
    shape: tuple[int, int],
    radius: int,
    metric: Metric = "chebyshev",
    window: str = "open",
) -> Float[np.ndarray, "these others"]:
    """Return what a correlation of two units adds to the gain, for some cells and some other cells of a sheet.

    This is a part of the matrix of `pair_gains`. All cells of the grid count as occupied.

    Args:
        these: Row and column of some cells.
        others: Row and column of other cells.
        shape: Height and width of the sheet, in cells.
        radius: Radius of the windows, in cells, see `spatial_loss`.
        metric: Distance between two cells.
        window: Which cells a window has.
    """
    sides = window_shape(shape, radius, window)
    n_windows = np.ones((len(these), len(others)))
    for axis in (0, 1):  # the first row (or column) of a window that holds both cells lies in this range
        a, b = these[:, axis, None], others[None, :, axis]
        last = np.minimum(np.minimum(a, b), shape[axis] - sides[axis])
        n_windows *= np.maximum(last - np.maximum(np.maximum(a, b) - sides[axis] + 1, 0) + 1, 0)
    nearness = nearness_in(sides, metric)
    mean = nearness[~np.eye(len(nearness), dtype=bool)].mean()
    distance = distances(these, metric, others)
    return np.where(distance > 0, n_windows * (1 / (1 + distance) - mean), 0.0)


def gain_of(
    correlations: Float[np.ndarray, "units units"],
    gains: Float[np.ndarray, "cells cells"],
    cell: Int[np.ndarray, " units"],
) -> float:
    """Return the gain of places.

    Args:
        correlations: The correlation of each two units. The diagonal does not count.
        gains: From `pair_gains`.
        cell: The cell of each unit, counted row after row.
    """
    pairs = ~np.eye(len(cell), dtype=bool)
    return float((correlations * gains[np.ix_(cell, cell)])[pairs].sum())


def spectral(
    correlations: Float[np.ndarray, "units units"], shape: tuple[int, int], rng: np.random.Generator
) -> Int[np.ndarray, " units"]:
    """Return a cell for each unit: units with similar correlations are near, over the whole sheet.

    The units are embedded in two dimensions by eigenvectors of a graph whose weights are the squared positive
    correlations (Laplacian eigenmaps, Belkin and Niyogi 2003, doi:10.1162/089976603321780317). The order in the first
    dimension decides the row of a unit, and the order in the second dimension its column among the units of the row.
    Units without any positive correlation, such as silent units, get the last cells.

    Args:
        correlations: The correlation of each two units.
        shape: Height and width of the sheet, in cells. Empty cells are at the end of the last row.
        rng: Generator of the start of the search for eigenvectors.
    """
    n_units, width = len(correlations), shape[1]
    weights = np.clip(correlations, 0.0, None) ** 2
    np.fill_diagonal(weights, 0.0)
    linked = np.flatnonzero(weights.sum(axis=1) > _SMALLEST * weights.max(initial=0.0))
    if len(linked) < 5:
        return np.arange(n_units)
    weights = weights[np.ix_(linked, linked)]
    degree = weights.sum(axis=1)
    start = rng.normal(size=len(linked))
    _, vectors = eigsh(weights / np.sqrt(np.outer(degree, degree)), k=3, which="LA", v0=start)
    first, second = np.full((2, n_units), np.inf)
    first[linked], second[linked] = (vectors[:, :2] / np.sqrt(degree)[:, None]).T  # the last eigenvector is constant
    order = np.argsort(first, kind="stable")
    rows = [row[np.argsort(second[row], kind="stable")] for row in np.split(order, range(width, n_units, width))]
    cell = np.empty(n_units, dtype=np.int64)
    cell[np.concatenate(rows)] = np.arange(n_units)
    return cell


def reassigned(
    correlations: Float[np.ndarray, "units units"],
    gains: Float[np.ndarray, "cells cells"],
    start: Int[np.ndarray, " units"],
    rng: np.random.Generator,
    *,
    block: int,
    rounds: int,
    outside: Float[np.ndarray, "units cells"] | None = None,
) -> Int[np.ndarray, " units"]:
    """Return a cell for each unit with a higher gain than at the start.

    In each round the units are divided at random into blocks. The units of a block exchange their cells in the way that
    is best given all other units, which is a linear assignment problem, if this raises the gain. So the gain never
    falls. With blocks of 2, units swap, as in TDANN (Margalit et al. 2024, doi:10.1016/j.neuron.2024.04.018). Large
    blocks find better places in less time. For three taps of a pretrained model, of 576 units each, the gain was 96 to
    101 % of that of `scipy.optimize.quadratic_assignment`, in a tenth of the time.

    Args:
        correlations: The correlation of each two units.
        gains: From `pair_gains`.
        start: The cell of each unit at the start.
        rng: Generator of the blocks.
        block: Number of units in a block.
        rounds: The largest number of rounds. They end earlier if several rounds in a row change little. Several means
            a quarter of the number of blocks, because two units seldom share one of many blocks; or more on a small
            sheet.
        outside: What each unit adds to the gain in each cell by its correlations with units that keep their places.
            None: there are no such units.
    """
    n_units, n_cells = len(correlations), len(gains)
    r = np.zeros((n_cells, n_cells), dtype=np.float32)  # empty cells hold units without correlations
    r[:n_units, :n_units] = correlations
    np.fill_diagonal(r, 0.0)
    k = gains.astype(np.float32)
    from_outside = np.zeros((n_cells, n_cells) if outside is not None else 0, dtype=np.float32)
    if outside is not None:
        from_outside[:n_units] = outside
    cell = np.concatenate([start, np.setdiff1d(np.arange(n_cells), start)])
    unit_at = np.argsort(cell)
    n_blocks, total, quiet = max(1, round(n_cells / block)), gain_of(r, gains, cell), 0
    enough = max(n_blocks // 4, -(-_SMALL_SHEET // n_cells))
    for _ in range(rounds):
        grown = 0.0
        for units in np.array_split(rng.permutation(n_cells), n_blocks):
            cells = cell[units]
            rows, near = r[units], k[cells]
            within, near_within = rows[:, units], near[:, cells]
            # The gain of each unit at each cell of the block, from the units outside the block.
            gain = rows.take(unit_at, axis=1) @ near.T - within @ near_within
            if outside is not None:
                gain += from_outside[np.ix_(units, cells)]
            new = linear_sum_assignment(gain, maximize=True)[1]
            exchanged = within * (near_within[np.ix_(new, new)] - near_within)
            change = 2 * float(gain[np.arange(len(units)), new].sum() - np.trace(gain)) + float(exchanged.sum())
            if change > 0:
                cell[units] = cells[new]
                unit_at[cells[new]] = units
                grown += change
        total += grown
        quiet = quiet + 1 if grown <= _LEAST * block * abs(total) else 0
        if quiet >= enough:
            break
    return cell[:n_units]
