"""Give topography to a subject that has a trained model."""

from toposheet.adapt.place import Placed, place
from toposheet.adapt.rebase import rebase

__all__ = ["Placed", "place", "rebase"]
