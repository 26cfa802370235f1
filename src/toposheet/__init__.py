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
    from toposheet.cortex import contrast, map_statistics, random_label_statistics, readout, respond
    from toposheet.demo import stimuli_for
    from toposheet.sheet import Sheet
    from toposheet.stats import cross_morans_i, morans_i
    from toposheet.stimuli.build import build_stimuli
    from toposheet.stimuli.table import read_stimuli
    from toposheet.topography import (
        SpatialStatistics,
        Topography,
        load,
        pretrained,
        save,
        spatial_correlation_loss,
        spatial_loss,
        spatial_losses,
    )

__version__ = "0.1.0"

__all__ = [
    "Sheet",
    "SpatialStatistics",
    "Topography",
    "build_stimuli",
    "contrast",
    "cross_morans_i",
    "load",
    "map_statistics",
    "morans_i",
    "pretrained",
    "random_label_statistics",
    "read_stimuli",
    "readout",
    "respond",
    "save",
    "spatial_correlation_loss",
    "spatial_loss",
    "spatial_losses",
    "stimuli_for",
]

_HOME = {
    "Sheet": "sheet",
    "SpatialStatistics": "topography",
    "Topography": "topography",
    "build_stimuli": "stimuli.build",
    "contrast": "cortex",
    "cross_morans_i": "stats",
    "load": "topography",
    "map_statistics": "cortex",
    "morans_i": "stats",
    "pretrained": "topography",
    "random_label_statistics": "cortex",
    "read_stimuli": "stimuli.table",
    "readout": "cortex",
    "respond": "cortex",
    "save": "topography",
    "spatial_correlation_loss": "topography",
    "spatial_loss": "topography",
    "spatial_losses": "topography",
    "stimuli_for": "demo",
}


def __getattr__(name: str) -> object:
    # Importing toposheet costs nothing: a name brings its module when it is first used.
    if name not in _HOME:
        raise AttributeError(f"module 'toposheet' has no attribute {name!r}")
    return getattr(import_module(f"toposheet.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
