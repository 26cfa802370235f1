from toposheet.topography.checkpoint import load, load_topography, local_folder, save
from toposheet.topography.objectives.correlation import (
    spatial_correlation_loss,
    spatial_loss,
    spatial_losses,
)
from toposheet.topography.taps import find_taps, record, tap_widths
from toposheet.topography.topography import Topography

__all__ = [
    "Topography",
    "find_taps",
    "load",
    "load_topography",
    "local_folder",
    "record",
    "save",
    "spatial_correlation_loss",
    "spatial_loss",
    "spatial_losses",
    "tap_widths",
]
