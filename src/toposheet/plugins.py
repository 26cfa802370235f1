"""Plug-ins: other packages add entries to the registries of toposheet."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from toposheet.errors import UserError, did_you_mean

ENTRY_POINTS = "toposheet.plugins"
REGISTRIES = {
    "architecture": ("architectures", "FAMILIES"),
    "command": ("commands", "COMMANDS"),
    "data source": ("text.documents", "SOURCES"),
    "file format": ("text.documents", "FORMATS"),
    "map statistic": ("cortex", "MAP_STATISTICS"),
    "objective": ("topography.objectives", "OBJECTIVES"),
    "recipe": ("recipes", "RECIPES"),
    "report section": ("report", "SECTIONS"),
    "stimulus set": ("stimuli.stimulus_set", "SETS"),
    "task": ("evaluation", "TASKS"),
}


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry to a registry. Afterwards the entry can be used by its name, like the entries of toposheet.

    Args:
        kind: The registry: architecture, command, data source, file format, map statistic, objective, recipe, report
            section, stimulus set or task.
        name: The name of the new entry.
        entry: The object to add. CONTRIBUTING.md says which object each kind needs.

    Raises:
        UserError: There is no registry of this kind, or the entry is not of this kind, or it already has an entry with
            this name.

    Example:
        peak = MapStatistic(values=lambda maps: np.nanmax(maps.t, axis=(-2, -1)), description="the largest t of a tap")
        ts.register("map statistic", "peak_t", peak)
    """
    if kind not in REGISTRIES:
        guess = did_you_mean(str(kind), REGISTRIES)
        raise UserError(f"there is no registry of the kind {kind!r}; there are: {', '.join(REGISTRIES)}.{guess}")
    module, attribute = REGISTRIES[kind]
    getattr(import_module(f"toposheet.{module}"), attribute).register(name, entry)


def load_plugins() -> None:
    """Import all plug-ins: the modules that installed packages list under the entry point `toposheet.plugins`.

    A plug-in calls `register` when it is imported. If a plug-in cannot be imported, a line on stderr names it, and the
    other plug-ins are still imported.
    """
    for plugin in entry_points(group=ENTRY_POINTS):
        try:
            plugin.load()
        except Exception as error:  # a plug-in can raise any exception
            what = " ".join(str(error).split()) or type(error).__name__
            print(f"toposheet: the plug-in {plugin.name} ({plugin.value}) cannot be loaded: {what}", file=sys.stderr)
