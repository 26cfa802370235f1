"""Topographies: taps of a model, places of their units on sheets, and objectives that make near units alike.

A name is imported from its module when it is first used. So recipes can list the objectives without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from toposheet.topography.objectives import OBJECTIVES

if TYPE_CHECKING:
    from toposheet.topography.objectives.moments import NotFiniteError
    from toposheet.topography.objectives.objective import OnActivations, OnWeights
    from toposheet.topography.objectives.spatial import spatial_correlation_loss, spatial_loss, spatial_losses
    from toposheet.topography.objectives.statistics import SpatialStatistics
    from toposheet.topography.taps import find_taps, record, tap_widths
    from toposheet.topography.topography import Topography

__all__ = [
    "OBJECTIVES",
    "NotFiniteError",
    "OnActivations",
    "OnWeights",
    "SpatialStatistics",
    "Topography",
    "find_taps",
    "record",
    "spatial_correlation_loss",
    "spatial_loss",
    "spatial_losses",
    "tap_widths",
]

_MODULES = {
    "NotFiniteError": "objectives.moments",
    "OnActivations": "objectives.objective",
    "OnWeights": "objectives.objective",
    "SpatialStatistics": "objectives.statistics",
    "Topography": "topography",
    "find_taps": "taps",
    "record": "taps",
    "spatial_correlation_loss": "objectives.spatial",
    "spatial_loss": "objectives.spatial",
    "spatial_losses": "objectives.spatial",
    "tap_widths": "taps",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
