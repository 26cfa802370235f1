from toposheet.cortex.cluster_inference import selective_clusters
from toposheet.cortex.clusters import grow_clusters
from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.criteria import criteria
from toposheet.cortex.localizer import cross_validated, load_localizer, localize, save_localizer
from toposheet.cortex.map_statistics import MAP_STATISTICS, MapStatistic, TapMaps
from toposheet.cortex.negative_controls import negative_controls
from toposheet.cortex.network import LanguageNetwork, language_network
from toposheet.cortex.organisation import organisation
from toposheet.cortex.organisation_difference import organisation_difference
from toposheet.cortex.plot import plot
from toposheet.cortex.power import power
from toposheet.cortex.profiles import consistency, profile_tests, profiles
from toposheet.cortex.published import published_profile, published_steps
from toposheet.cortex.response_statistics import correlation_curve, response_statistics
from toposheet.cortex.smoothness import noise_smoothness
from toposheet.cortex.statistics import topography_statistics
from toposheet.cortex.summary import map_statistics, summary_of

__all__ = [
    "MAP_STATISTICS",
    "SIGNIFICANT",
    "Comparison",
    "LanguageNetwork",
    "MapStatistic",
    "TapMaps",
    "consistency",
    "correlation_curve",
    "criteria",
    "cross_validated",
    "grow_clusters",
    "language_network",
    "load_localizer",
    "localize",
    "map_statistics",
    "negative_controls",
    "noise_smoothness",
    "organisation",
    "organisation_difference",
    "plot",
    "power",
    "profile_tests",
    "profiles",
    "published_profile",
    "published_steps",
    "response_statistics",
    "save_localizer",
    "selective_clusters",
    "summary_of",
    "topography_statistics",
]
