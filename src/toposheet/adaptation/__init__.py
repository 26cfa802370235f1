"""Give topography to a subject that has a trained model."""

from toposheet.adaptation.adapt import Adapted, Placement, adapt
from toposheet.adaptation.place import Placed, place
from toposheet.adaptation.rebase import rebase

__all__ = ["Adapted", "Placed", "Placement", "adapt", "place", "rebase"]
