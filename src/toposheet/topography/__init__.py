from toposheet.topography.objectives.moments import NotFiniteError
from toposheet.topography.objectives.spatial import OBJECTIVES, spatial_correlation_loss, spatial_loss, spatial_losses
from toposheet.topography.objectives.statistics import SpatialStatistics
from toposheet.topography.objectives.weights import ON_WEIGHTS
from toposheet.topography.taps import find_taps, record, tap_widths
from toposheet.topography.topography import Topography

__all__ = [
    "OBJECTIVES",
    "ON_WEIGHTS",
    "NotFiniteError",
    "SpatialStatistics",
    "Topography",
    "find_taps",
    "record",
    "spatial_correlation_loss",
    "spatial_loss",
    "spatial_losses",
    "tap_widths",
]
