"""The control of equal strength: TopoLM's objective with the distances of each window shuffled once and for all."""

from toposheet.topography.objectives.known.correlation import correlation_losses
from toposheet.topography.objectives.objective import OnActivations

OBJECTIVE = OnActivations(correlation_losses, shuffled=True)
