from toposheet.sheet.grid import check_shape, distances, square_shape
from toposheet.sheet.layout import on_sheets, stacked
from toposheet.sheet.layouts import layout_of, one_sheet
from toposheet.sheet.neighborhoods import Neighborhoods
from toposheet.sheet.placement import random_places
from toposheet.sheet.sheet import Shared, Sheet, lay_out

__all__ = [
    "Neighborhoods",
    "Shared",
    "Sheet",
    "check_shape",
    "distances",
    "lay_out",
    "layout_of",
    "on_sheets",
    "one_sheet",
    "random_places",
    "square_shape",
    "stacked",
]
