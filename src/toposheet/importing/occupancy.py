"""How many cells of imported sheets are empty or shared, in words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toposheet.sheet import Sheet
from toposheet.topography import Topography
from toposheet.wording import counted


def occupancy_in_words(topography: Topography) -> list[str]:
    """Return notes on the sheets of an imported model: empty cells, cells that units share, and stored windows."""
    shapes: dict[tuple[int, int], list[Sheet]] = {}
    for sheet in topography.sheets.values():
        shapes.setdefault(sheet.shape, []).append(sheet)
    return [note for shape, sheets in shapes.items() for note in _notes(shape, sheets)]


def _notes(shape: tuple[int, int], sheets: list[Sheet]) -> list[str]:
    n_cells = shape[0] * shape[1]
    empty = [n_cells - sheet.n_occupied for sheet in sheets]
    shared = [_n_shared(sheet) for sheet in sheets]
    each = "" if len(sheets) == 1 else " of each"
    notes = [
        f"{counted(len(sheets), 'sheet')} of {shape[0]}x{shape[1]} cells, with "
        f"{counted(sum(sheet.n_units for sheet in sheets), 'unit')}: {_range(empty)} of {n_cells:,} cells{each} are "
        f"empty, and {_range(shared)}{each} have several units"
        + (" (a map shows the mean of the units of a cell)" if any(shared) else "")
    ]
    windows = [sheet.windows for sheet in sheets if sheet.windows is not None]
    if windows:
        sizes = [int(n) for table in windows for n in (table >= 0).sum(axis=1)]
        notes.append(
            f"{_range([len(table) for table in windows])} stored windows{each or ' of the sheet'}, with "
            f"{_range(sizes)} units: objectives compare units within these windows, and not within squares"
        )
    return notes


def _n_shared(sheet: Sheet) -> int:
    """Return the number of cells with several units."""
    cells = sheet.coordinates @ np.array([sheet.shape[1], 1])
    return int((np.bincount(cells) > 1).sum())


def _range(numbers: Iterable[int]) -> str:
    """Return the smallest and the largest number in words: `65 to 83`, or `65` if all are equal."""
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
