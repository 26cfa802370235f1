from toposheet.sheet.grid import distances, square_shape
from toposheet.sheet.neighborhoods import Neighborhoods
from toposheet.sheet.placement import random_places
from toposheet.sheet.sheet import Sheet, lay_out

__all__ = ["Neighborhoods", "Sheet", "distances", "lay_out", "random_places", "square_shape"]
