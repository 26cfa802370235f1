"""Layouts: where the units of several taps get their first, random places on one sheet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from toposheet.errors import UserError
from toposheet.settings import Layout
from toposheet.sheet.grid import nearest_rectangle
from toposheet.sheet.placement import random_places
from toposheet.sheet.sheet import Sheet
from toposheet.wording import counted


def one_sheet(
    widths: Mapping[str, int],
    layout: str,
    shape: tuple[int, int] | None,
    spacing_mm: float,
    rng: np.random.Generator,
) -> Sheet:
    """Return one sheet that holds the units of several taps, each unit at a random place of its tap.

    Args:
        widths: Number of units of each tap, from the back of the sheet to the front.
        layout: Which cells belong to which tap.
            - `"bands"`: each tap has the columns of a band, and the bands lie side by side. The first tap is at the
              left edge (the back), the last tap at the right edge (the front).
            - `"interleaved"`: the units of all taps are mixed evenly, so each small square has units of all taps.
            - `"free"`: every unit gets a random cell of the whole sheet.
        shape: Height and width of the sheet, in cells. None: with bands, the height of the most square-like sheet of
            the first tap, and as many columns as the bands need; otherwise the most square-like sheet for all units.
        spacing_mm: Distance between adjacent cells, in mm.
        rng: Generator of the random draws.

    Raises:
        UserError: The units, or the bands, do not fit on the sheet.
    """
    n_units = sum(widths.values())
    if layout == "bands":
        return _bands(widths, shape, spacing_mm, rng)
    shape = nearest_rectangle(n_units) if shape is None else shape
    if shape[0] * shape[1] < n_units:
        height, width = nearest_rectangle(n_units)
        raise UserError(
            f"a {shape[0]}x{shape[1]} sheet has {shape[0] * shape[1]} cells, but {counted(len(widths), 'tap')} have "
            f"{n_units} units: use a larger sheet, for example {height}x{width}"
        )
    of_taps = _interleaved if layout == "interleaved" else _free
    cells = of_taps(list(widths.values()), shape, rng)
    places = {tap: np.stack(np.divmod(cell, shape[1]), axis=1) for tap, cell in zip(widths, cells, strict=True)}
    return Sheet(shape, places, spacing_mm)


def _bands(
    widths: Mapping[str, int], shape: tuple[int, int] | None, spacing_mm: float, rng: np.random.Generator
) -> Sheet:
    """Return a sheet on which each tap has a band of whole columns.

    Raises:
        UserError: The bands need more columns than the sheet has.
    """
    height = nearest_rectangle(next(iter(widths.values())))[0] if shape is None else shape[0]
    columns = {tap: -(-n_units // height) for tap, n_units in widths.items()}
    needed = sum(columns.values())
    if shape is not None and shape[1] < needed:
        raise UserError(
            f"{counted(len(widths), 'band')} of whole columns need {height}x{needed} cells, but the sheet has "
            f"{height}x{shape[1]}: use a sheet of {height}x{needed}, or a layout without bands"
        )
    first, places = 0, {}
    for tap, n_units in widths.items():
        places[tap] = random_places(n_units, (height, columns[tap]), rng) + np.array([0, first])
        first += columns[tap]
    return Sheet((height, needed if shape is None else shape[1]), places, spacing_mm)


def layout_of(sheet: Sheet) -> Layout:
    """Return the layout of a sheet: `"per_tap"` for one tap, otherwise which cells its taps have (`one_sheet`).

    It is `"free"` if the cells of the taps are neither bands nor mixed as evenly as in the layout `"interleaved"`.

    Args:
        sheet: The sheet.
    """
    if len(sheet.places) == 1:
        return "per_tap"
    columns = [(int(cells[:, 1].min()), int(cells[:, 1].max())) for cells in sheet.places.values()]
    if all(last < first for (_, last), (first, _) in itertools.pairwise(columns)):
        return "bands"
    if sheet.shared_cells:
        return "free"
    square, owner = _turns([len(cells) for cells in sheet.places.values()], sheet.shape)
    in_order = np.sort(square)
    held = [np.sort(square[cells[:, 0] * sheet.shape[1] + cells[:, 1]]) for cells in sheet.places.values()]
    evenly = all(np.array_equal(squares, in_order[owner == tap]) for tap, squares in enumerate(held))
    return "interleaved" if evenly else "free"


def _interleaved(
    n_units: Sequence[int], shape: tuple[int, int], rng: np.random.Generator
) -> list[Int[np.ndarray, " units"]]:
    """Return the cells of each tap, mixed evenly over the sheet; each unit has a random one of them.

    The grid is read square after square, each with about as many cells as there are taps. In this order, taps and empty
    cells take turns, as often as they have units.
    """
    square, owner = _turns(n_units, shape)
    cells = np.lexsort((rng.random(len(square)), square))
    return [rng.permutation(cells[owner == tap]) for tap in range(len(n_units))]


def _turns(
    n_units: Sequence[int], shape: tuple[int, int]
) -> tuple[Int[np.ndarray, " cells"], Int[np.ndarray, " cells"]]:
    """Return the number of the square of each cell, and the owner of each turn in the order of the squares.

    An owner is the number of a tap, or the number of taps for an empty cell.
    """
    holes = shape[0] * shape[1] - sum(n_units)
    numbers = [*n_units, *([holes] if holes else [])]
    turn = np.concatenate([(np.arange(n) + 0.5) / n for n in numbers])
    owner = np.repeat(np.arange(len(numbers)), numbers)[np.argsort(turn, kind="stable")]
    side = math.ceil(math.sqrt(len(numbers)))
    y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return y // side * (shape[1] // side + 1) + x // side, owner


def _free(n_units: Sequence[int], shape: tuple[int, int], rng: np.random.Generator) -> list[Int[np.ndarray, " units"]]:
    """Return a random cell for each unit of each tap."""
    cells = rng.permutation(shape[0] * shape[1])[: sum(n_units)]
    return np.split(cells, np.cumsum(n_units)[:-1])
