"""Objectives: what training minimises besides the next-token loss, so that near units respond alike.

This module imports no torch, because recipes read the names of objectives from it.
"""

from typing import TYPE_CHECKING

from toposheet.registry import Registry

if TYPE_CHECKING:
    from toposheet.topography.objectives.objective import Objective

OBJECTIVES: "Registry[Objective]" = Registry(
    "toposheet.topography.objectives.known",
    "OBJECTIVE",
    "objective",
    entry="toposheet.topography.objectives.objective:Objective",
)
