from toposheet.sheet.grid import check_shape, distances, square_shape
from toposheet.sheet.layout import all_tap_names, on_sheets, renumbered, stacked
from toposheet.sheet.layouts import layout_of, one_sheet
from toposheet.sheet.neighborhoods import Neighborhoods
from toposheet.sheet.placement import random_places
from toposheet.sheet.sheet import Shared, Sheet, lay_out

__all__ = [
    "Neighborhoods",
    "Shared",
    "Sheet",
    "all_tap_names",
    "check_shape",
    "distances",
    "lay_out",
    "layout_of",
    "on_sheets",
    "one_sheet",
    "random_places",
    "renumbered",
    "square_shape",
    "stacked",
]
