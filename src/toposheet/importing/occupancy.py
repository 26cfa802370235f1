"""How many cells of imported sheets are empty or shared, in words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toposheet.sheet import Sheet
from toposheet.sheet.grid import cell_numbers
from toposheet.topography import Topography
from toposheet.wording import counted


def occupancy_in_words(topography: Topography) -> list[str]:
    """Return notes on the sheets of an imported model: empty cells, cells that units share, and stored windows."""
    shapes: dict[tuple[int, int], list[Sheet]] = {}
    for sheet in topography.sheets.values():
        shapes.setdefault(sheet.shape, []).append(sheet)
    return [note for shape, sheets in shapes.items() for note in _notes(shape, sheets)]


def _notes(shape: tuple[int, int], sheets: list[Sheet]) -> list[str]:
    """Return the notes on sheets of one shape."""
    n_cells = shape[0] * shape[1]
    empty = [n_cells - sheet.n_occupied for sheet in sheets]
    shared = [_n_shared(sheet) for sheet in sheets]
    n_units = counted(sum(sheet.n_units for sheet in sheets), "unit")
    where = "" if len(sheets) == 1 else "on each sheet "
    note = f"{counted(len(sheets), 'sheet')} of {shape[0]}x{shape[1]} cells with {n_units}"
    if any(empty) or any(shared):
        note += f": {where}{_range(empty)} of {n_cells:,} cells are empty, and {_range(shared)} have several units"
        note += " (a map shows the mean of the units of a cell)" if any(shared) else ""
    else:
        note += ", one unit in each cell"
    tables = [sheet.windows for sheet in sheets if sheet.windows is not None]
    if not tables:
        return [note]
    n_windows = _range(len(table) for table in tables)
    sizes = _range(int(n) for table in tables for n in (table >= 0).sum(axis=1))
    return [
        note,
        f"{where}{n_windows} stored windows of {sizes} units: objectives compare units within these windows, and not "
        "within squares",
    ]


def _n_shared(sheet: Sheet) -> int:
    """Return the number of cells with several units."""
    return int((np.bincount(cell_numbers(sheet.coordinates, sheet.shape)) > 1).sum())


def _range(numbers: Iterable[int]) -> str:
    """Return the smallest and the largest number in words: `65 to 83`, or `65` if all are equal."""
    numbers = list(numbers)
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
