from toposheet.cortex.clusters import clustering_of_network, grow_clusters, selective_clusters
from toposheet.cortex.contrasts import contrast, readout
from toposheet.cortex.controls import negative_controls, without_confounds
from toposheet.cortex.localizer import cross_validated, load_localizer, localize
from toposheet.cortex.profiles import consistency, criteria, profiles
from toposheet.cortex.statistics import correlation_curve, map_statistics, response_statistics, topography_statistics

__all__ = [
    "clustering_of_network",
    "consistency",
    "contrast",
    "correlation_curve",
    "criteria",
    "cross_validated",
    "grow_clusters",
    "load_localizer",
    "localize",
    "map_statistics",
    "negative_controls",
    "profiles",
    "readout",
    "response_statistics",
    "selective_clusters",
    "topography_statistics",
    "without_confounds",
]
