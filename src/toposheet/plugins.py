"""What other packages add: entries of the registries, by name or by entry point."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from toposheet.errors import UserError

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
}


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry of your own to a registry; from then on it is found by its name wherever toposheet's own are.

    Args:
        kind: architecture, command, data source, file format, map statistic, objective, recipe, report section or
            stimulus set.
        name: What it is called.
        entry: The entry: CONTRIBUTING says what each kind is.

    Raises:
        UserError: there is no such kind, or an entry of this name.

    Example:
        peak = MapStatistic(values=lambda maps: np.nanmax(maps.t, axis=(-2, -1)), description="the largest t of a tap")
        ts.register("map statistic", "peak_t", peak)
    """
    if kind not in REGISTRIES:
        raise UserError(f"there is no registry of the kind {kind!r}; there are: {', '.join(REGISTRIES)}")
    module, attribute = REGISTRIES[kind]
    getattr(import_module(f"toposheet.{module}"), attribute).register(name, entry)


def load_plugins() -> None:
    """Import the modules that installed packages name under the entry point `toposheet.plugins`.

    Such a module calls `register` when it is imported. One that cannot be imported is named on stderr, and the others
    are loaded all the same.
    """
    for plugin in entry_points(group=ENTRY_POINTS):
        try:
            plugin.load()
        except Exception as error:  # whatever somebody else's module raises
            what = " ".join(str(error).split()) or type(error).__name__
            print(f"toposheet: the plug-in {plugin.name} ({plugin.value}) cannot be loaded: {what}", file=sys.stderr)
