"""A control objective: TopoLM's objective with the distances of the pairs of a window shuffled, once and for all."""

from toposheet.topography.objectives.known.correlation import correlation_losses
from toposheet.topography.objectives.objective import OnActivations

OBJECTIVE = OnActivations(correlation_losses, shuffled=True)
