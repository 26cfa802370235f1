"""Topographic language models: grow them, map them, and know what the maps mean.

Example:
    import toposheet as ts

    model, topo, tokenizer = ts.pretrained("small")
    stimuli = ts.stimuli_for("small")
    responses = ts.respond(model, topo, stimuli, tokenizer)
    ts.map_statistics(responses, "sentence", "nonword")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toposheet.brain.export import export_sheet
    from toposheet.brain.moran import surface_morans_i
    from toposheet.brain.reading import SurfaceMap, read_surface_map
    from toposheet.cortex import (
        clustering_of_network,
        consistency,
        contrast,
        correlation_curve,
        criteria,
        cross_validated,
        grow_clusters,
        load_localizer,
        localize,
        map_statistics,
        negative_controls,
        profiles,
        readout,
        response_statistics,
        selective_clusters,
        topography_statistics,
        without_confounds,
    )
    from toposheet.sheet import Sheet
    from toposheet.stats import cross_morans_i, islands_morans_i, morans_i
    from toposheet.stimuli.build import build_stimuli
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.stimulus_set import stimulus_set
    from toposheet.stimuli.table import read_stimuli
    from toposheet.subject import Effect, Intervention, Subject, attach, load, respond, save
    from toposheet.topography import (
        SpatialStatistics,
        Topography,
        spatial_correlation_loss,
        spatial_loss,
        spatial_losses,
    )

__version__ = "0.1.0"

__all__ = [
    "Contrast",
    "Effect",
    "Intervention",
    "Sheet",
    "SpatialStatistics",
    "Subject",
    "SurfaceMap",
    "Topography",
    "attach",
    "build_stimuli",
    "clustering_of_network",
    "consistency",
    "contrast",
    "correlation_curve",
    "criteria",
    "cross_morans_i",
    "cross_validated",
    "export_sheet",
    "grow_clusters",
    "islands_morans_i",
    "load",
    "load_localizer",
    "localize",
    "map_statistics",
    "morans_i",
    "negative_controls",
    "profiles",
    "read_stimuli",
    "read_surface_map",
    "readout",
    "respond",
    "response_statistics",
    "save",
    "selective_clusters",
    "spatial_correlation_loss",
    "spatial_loss",
    "spatial_losses",
    "stimulus_set",
    "surface_morans_i",
    "topography_statistics",
    "without_confounds",
]

_HOME = {
    "attach": "subject",
    "Subject": "subject",
    "Intervention": "subject",
    "Effect": "subject",
    "Contrast": "stimuli.contrasts",
    "Sheet": "sheet",
    "SpatialStatistics": "topography",
    "SurfaceMap": "brain.reading",
    "Topography": "topography",
    "build_stimuli": "stimuli.build",
    "clustering_of_network": "cortex",
    "consistency": "cortex",
    "contrast": "cortex",
    "correlation_curve": "cortex",
    "criteria": "cortex",
    "cross_morans_i": "stats",
    "cross_validated": "cortex",
    "export_sheet": "brain.export",
    "grow_clusters": "cortex",
    "islands_morans_i": "stats",
    "load": "subject",
    "load_localizer": "cortex",
    "localize": "cortex",
    "map_statistics": "cortex",
    "morans_i": "stats",
    "negative_controls": "cortex",
    "profiles": "cortex",
    "read_stimuli": "stimuli.table",
    "read_surface_map": "brain.reading",
    "readout": "cortex",
    "respond": "subject",
    "response_statistics": "cortex",
    "save": "subject",
    "selective_clusters": "cortex",
    "spatial_correlation_loss": "topography",
    "spatial_loss": "topography",
    "spatial_losses": "topography",
    "stimulus_set": "stimuli.stimulus_set",
    "surface_morans_i": "brain.moran",
    "topography_statistics": "cortex",
    "without_confounds": "cortex",
}


def __getattr__(name: str) -> object:
    # Importing toposheet costs nothing: a name brings its module when it is first used.
    if name not in _HOME:
        raise AttributeError(f"module 'toposheet' has no attribute {name!r}")
    return getattr(import_module(f"toposheet.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
