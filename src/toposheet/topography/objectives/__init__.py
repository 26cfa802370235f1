"""Objectives: what training minimises besides next-token loss so that near units become alike.

Nothing heavy is imported here: recipes ask for the names of objectives.
"""

from typing import TYPE_CHECKING

from toposheet.registry import Registry

if TYPE_CHECKING:
    from toposheet.topography.objectives.objective import Objective

OBJECTIVES: "Registry[Objective]" = Registry("toposheet.topography.objectives.known", "OBJECTIVE", "objective")
