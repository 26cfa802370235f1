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
    from toposheet.brain.surface import SurfaceMap, read_surface_map, surface_morans_i
    from toposheet.cortex import (
        Comparison,
        LanguageNetwork,
        MapStatistic,
        clustering_of_network,
        consistency,
        correlation_curve,
        criteria,
        cross_validated,
        grow_clusters,
        language_network,
        load_localizer,
        localize,
        map_statistics,
        negative_controls,
        plot,
        profiles,
        response_statistics,
        selective_clusters,
        topography_statistics,
    )
    from toposheet.settings import Reading, Settings
    from toposheet.sheet import Sheet
    from toposheet.stats import cross_morans_i, islands_morans_i, morans_i
    from toposheet.stimuli.build import build_stimuli
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.registry import stimulus_set
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
    "Comparison",
    "Contrast",
    "Effect",
    "Intervention",
    "LanguageNetwork",
    "MapStatistic",
    "Reading",
    "Settings",
    "Sheet",
    "SpatialStatistics",
    "Subject",
    "SurfaceMap",
    "Topography",
    "attach",
    "build_stimuli",
    "clustering_of_network",
    "consistency",
    "correlation_curve",
    "criteria",
    "cross_morans_i",
    "cross_validated",
    "export_sheet",
    "grow_clusters",
    "islands_morans_i",
    "language_network",
    "load",
    "load_localizer",
    "localize",
    "map_statistics",
    "morans_i",
    "negative_controls",
    "plot",
    "profiles",
    "read_stimuli",
    "read_surface_map",
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
]

_HOME = {
    "attach": "subject",
    "Subject": "subject",
    "Comparison": "cortex",
    "Intervention": "subject",
    "LanguageNetwork": "cortex",
    "MapStatistic": "cortex",
    "Reading": "settings",
    "Settings": "settings",
    "Effect": "subject",
    "Contrast": "stimuli.contrasts",
    "Sheet": "sheet",
    "SpatialStatistics": "topography",
    "SurfaceMap": "brain.surface",
    "Topography": "topography",
    "build_stimuli": "stimuli.build",
    "clustering_of_network": "cortex",
    "consistency": "cortex",
    "correlation_curve": "cortex",
    "criteria": "cortex",
    "cross_morans_i": "stats",
    "cross_validated": "cortex",
    "export_sheet": "brain.export",
    "grow_clusters": "cortex",
    "language_network": "cortex",
    "islands_morans_i": "stats",
    "load": "subject",
    "load_localizer": "cortex",
    "localize": "cortex",
    "map_statistics": "cortex",
    "morans_i": "stats",
    "negative_controls": "cortex",
    "plot": "cortex",
    "profiles": "cortex",
    "read_stimuli": "stimuli.table",
    "read_surface_map": "brain.surface",
    "respond": "subject",
    "response_statistics": "cortex",
    "save": "subject",
    "selective_clusters": "cortex",
    "spatial_correlation_loss": "topography",
    "spatial_loss": "topography",
    "spatial_losses": "topography",
    "stimulus_set": "stimuli.registry",
    "surface_morans_i": "brain.surface",
    "topography_statistics": "cortex",
}


def __getattr__(name: str) -> object:
    # Importing toposheet costs nothing: a name brings its module when it is first used.
    if name not in _HOME:
        raise AttributeError(f"module 'toposheet' has no attribute {name!r}")
    return getattr(import_module(f"toposheet.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
