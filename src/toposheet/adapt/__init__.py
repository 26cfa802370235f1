"""Give topography to a subject that has a trained model."""

from toposheet.adapt.place import Placed, place

__all__ = ["Placed", "place"]
