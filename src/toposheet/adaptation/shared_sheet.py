"""Places for the units of a sheet with several taps. The units of a tap keep the cells of this tap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.adaptation.placement import HowToPlace, gains_between, pair_gains, reassigned, spectral, standardised
from toposheet.errors import UserError
from toposheet.settings import Metric
from toposheet.sheet import Sheet
from toposheet.sheet.grid import cell_numbers, nearest_rectangle

_SWEEPS = 2  # how often each tap is placed, given the places of all others
_LARGEST_SHUFFLED = 4096  # cells of the largest sheet for which nearness is shuffled: its matrix has 128 MB


def placed_together(
    sheet: Sheet,
    activations: Mapping[str, Float[Tensor, "tokens _"]],
    how: HowToPlace,
    rng: np.random.Generator,
    *,
    radius: int,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    shuffled: bool = False,
) -> Sheet:
    """Return a sheet with the units of each of its taps at other cells of this tap, one in each cell.

    One tap after the other is placed, given the places of the units of all other taps, and then once more. So the map
    of a tap continues that of its neighbours on the sheet.

    Args:
        sheet: The sheet.
        activations: The activations of its taps.
        how: The first places, and how units exchange their cells.
        rng: Generator of all random choices.
        radius: Radius of the windows, in cells.
        metric: Distance between two cells.
        window: Which cells a window has.
        shuffled: Whether nearness is shuffled among the pairs of cells.

    Raises:
        UserError: Units share cells, or the sheet is too large for shuffled nearness.
    """
    if sheet.n_occupied < sheet.n_units:
        raise UserError("units of a sheet with several taps share cells, and placing gives each unit a cell of its tap")
    height, width = sheet.shape
    if shuffled and height * width > _LARGEST_SHUFFLED:
        raise UserError(
            f"the sheet has {height}x{width} cells: nearness can be shuffled on a sheet with several taps if it has at "
            f"most {_LARGEST_SHUFFLED:,} cells; leave out the null shuffled-distances"
        )
    every = pair_gains(sheet.shape, radius, metric, window, shuffled=True) if shuffled else None

    def gains(these: np.ndarray, others: np.ndarray) -> np.ndarray:
        if every is None:
            return gains_between(these, others, sheet.shape, radius, metric, window)
        return every[np.ix_(cell_numbers(these, sheet.shape), cell_numbers(others, sheet.shape))]

    z = {tap: standardised(x.numpy()) for tap, x in activations.items()}
    places = {tap: rng.permutation(cells) for tap, cells in sheet.places.items()}
    to_place = list(places) if how.start == "spectral" or how.rounds else []
    placed: list[str] = []
    for sweep in range(_SWEEPS if how.rounds else 1):
        for tap in to_place:
            own, r = places[tap], z[tap].T @ z[tap]
            others = [other for other in (placed if sweep == 0 else places) if other != tap]
            outside = _from_others(z, places, tap, others, gains)
            order = np.arange(len(own))
            if sweep == 0 and how.start == "spectral":
                order = _spectral_order(r, own, outside, rng)
            if how.rounds:
                blocks = {"block": how.block_of(len(own)), "rounds": how.rounds}
                order = reassigned(r, gains(own, own), order, rng, **blocks, outside=outside)
            places[tap] = own[order]
            placed.append(tap)
    return sheet.moved(places, shared_cells=False)


def _from_others(
    z: Mapping[str, Float[np.ndarray, "tokens _"]],
    places: Mapping[str, Int[np.ndarray, "_ 2"]],
    tap: str,
    others: Sequence[str],
    gains: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Float[np.ndarray, "units cells"]:
    """Return what each unit of a tap adds to the gain in each cell of the tap, by its correlations with other taps.

    Args:
        z: The standardised activations of each tap.
        places: The places of the units of each tap.
        tap: The tap.
        others: The other taps whose units have places.
        gains: A function of some cells and other cells: what a correlation adds to the gain (`gains_between`).
    """
    own = places[tap]
    total = np.zeros((z[tap].shape[1], len(own)), dtype=np.float32)
    for other in others:
        k = gains(own, places[other]).astype(np.float32)
        near = np.flatnonzero(k.any(axis=0))
        if len(near):
            total += (z[tap].T @ z[other][:, near]) @ k[:, near].T
    return total


def _spectral_order(
    r: Float[np.ndarray, "units units"],
    cells: Int[np.ndarray, "units 2"],
    outside: Float[np.ndarray, "units cells"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " units"]:
    """Return the index of the cell of each unit among the cells of its tap: similar units are near.

    The embedding (`spectral`) is laid over the cells row after row. Of its four reflections, that one is taken which
    fits best to the units of other taps that are placed already.

    Args:
        r: The correlation of each two units of the tap.
        cells: Row and column of each cell of the tap.
        outside: What each unit adds to the gain in each cell by its correlations with other taps.
        rng: Generator of the start of the search for eigenvectors.
    """
    n = len(cells)
    spread = np.ptp(cells, axis=0) + 1
    shape = (int(spread[0]), int(spread[1])) if np.prod(spread) == n else nearest_rectangle(n)
    down, across = np.divmod(spectral(r, shape, rng), shape[1])
    # The cells of the tap in rows of equal numbers of cells, each row from left to right.
    rows = np.split(np.lexsort((cells[:, 1], cells[:, 0])), range(shape[1], n, shape[1]))
    in_rows = np.concatenate([row[np.argsort(cells[row, 1])] for row in rows])
    best, highest = np.arange(n), -np.inf
    for flipped_down in (False, True):
        for flipped_across in (False, True):
            y = shape[0] - 1 - down if flipped_down else down
            x = shape[1] - 1 - across if flipped_across else across
            order = np.empty(n, dtype=np.int64)
            order[np.lexsort((x, y))] = in_rows
            gain = float(outside[np.arange(n), order].sum())
            if gain > highest:
                best, highest = order, gain
    return best
