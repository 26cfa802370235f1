"""Topographic language models: train them, map them, and test what the maps mean.

Example:
    import toposheet as ts

    subject = ts.load("small")
    responses = ts.respond(subject, subject.stimuli())
    comparison = ts.Comparison(responses, "sentence", "nonword")
    ts.organisation(comparison)
"""

from importlib import import_module

from toposheet.version import __version__ as __version__

_MODULES = {
    "Comparison": "cortex",
    "Contrast": "stimuli.contrasts",
    "Disc": "interventions",
    "Effect": "subject",
    "Encoding": "encoding",
    "Finetuning": "recipes.finetuning",
    "Intervention": "subject",
    "Lesion": "interventions",
    "Mask": "interventions",
    "Measure": "interventions",
    "Reading": "settings",
    "Settings": "settings",
    "Sheet": "sheet",
    "SpatialStatistics": "topography",
    "Stimulation": "interventions",
    "Subject": "subject",
    "SurfaceMap": "brain.files",
    "Topography": "topography",
    "UserError": "errors",
    "WholeSheet": "interventions",
    "WholeTap": "interventions",
    "accuracy": "evaluation",
    "accuracy_difference": "evaluation",
    "adapt": "adaptation",
    "attach": "subject",
    "cka": "encoding",
    "correlation_curve": "cortex",
    "dose_curve": "interventions",
    "encode": "encoding",
    "evaluate": "evaluation",
    "export_sheet": "brain.export",
    "finetune": "finetuning",
    "glue_scores": "finetuning",
    "grow_clusters": "cortex",
    "import_grid": "importing",
    "import_nanogpt": "importing",
    "import_topolm": "importing",
    "intervention_effects": "interventions",
    "language_network": "cortex",
    "lesion": "interventions",
    "load": "subject",
    "load_finetuned": "finetuning",
    "load_localizer": "cortex",
    "localize": "cortex",
    "map_statistics": "cortex",
    "morans_i": "stats",
    "negative_controls": "cortex",
    "noise_smoothness": "cortex",
    "organisation": "cortex",
    "organisation_difference": "cortex",
    "plot": "cortex",
    "power": "cortex",
    "profiles": "cortex",
    "read_recording": "encoding",
    "read_stimuli": "stimuli.table",
    "read_surface_map": "brain.files",
    "register": "plugins",
    "respond": "subject",
    "response_statistics": "cortex",
    "rsa": "encoding",
    "save": "subject",
    "score": "subject",
    "searchlight": "interventions",
    "selective_clusters": "cortex",
    "sinks": "subject",
    "spatial_correlation_loss": "topography",
    "spatial_loss": "topography",
    "spatial_losses": "topography",
    "stimulate": "interventions",
    "stimulus_set": "stimuli.stimulus_set",
    "surface_morans_i": "brain.moran",
    "task_measure": "evaluation",
    "topography_statistics": "cortex",
    "unit_activity": "interventions",
}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    # `import toposheet` is fast, because the module of a name is imported only when the name is first used.
    if name not in _MODULES:
        raise AttributeError(f"module 'toposheet' has no attribute {name!r}")
    return getattr(import_module(f"toposheet.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_MODULES, "__version__"])
