"""Layouts: where the units of several taps get their first, random places on one sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from toposheet.errors import UserError
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


def _interleaved(
    n_units: Sequence[int], shape: tuple[int, int], rng: np.random.Generator
) -> list[Int[np.ndarray, " units"]]:
    """Return the cells of each tap, mixed evenly over the sheet; each unit has a random one of them.

    The grid is read square after square, each with about as many cells as there are taps. In this order, taps and empty
    cells take turns, as often as they have units.
    """
    holes = shape[0] * shape[1] - sum(n_units)
    numbers = [*n_units, *([holes] if holes else [])]
    turn = np.concatenate([(np.arange(n) + 0.5) / n for n in numbers])
    owner = np.repeat(np.arange(len(numbers)), numbers)[np.argsort(turn, kind="stable")]
    side = math.ceil(math.sqrt(len(numbers)))
    y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    cells = np.lexsort((rng.random(len(y)), x // side, y // side))
    return [rng.permutation(cells[owner == tap]) for tap in range(len(n_units))]


def _free(n_units: Sequence[int], shape: tuple[int, int], rng: np.random.Generator) -> list[Int[np.ndarray, " units"]]:
    """Return a random cell for each unit of each tap."""
    cells = rng.permutation(shape[0] * shape[1])[: sum(n_units)]
    return np.split(cells, np.cumsum(n_units)[:-1])
