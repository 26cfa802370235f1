"""A control objective: TopoLM's objective, but the distances are shuffled among the pairs of cells of a window.

The shuffling is drawn once and never changes.
"""

from toposheet.topography.objectives.known.correlation import correlation_losses
from toposheet.topography.objectives.objective import OnActivations

OBJECTIVE = OnActivations(correlation_losses, shuffled=True)
