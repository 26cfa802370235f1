from toposheet.stats.clusters import cluster_masses, clusters, count_and_largest, largest_mass, tfce
from toposheet.stats.contrast import MeanAndVariance, Welch, grouped_p, q_values, residuals, welch, welch_t
from toposheet.stats.covariance import UnitPairs, participation_ratio, spatial_correlation
from toposheet.stats.moran import cross_morans_i, islands_morans_i, morans_i, morans_i_on_graph
from toposheet.stats.nulls import (
    Null,
    against_null,
    check_groups,
    flipped_pairs,
    halves,
    reaches,
    shuffled_labels,
    shuffled_within,
)
from toposheet.stats.readout import SheetReadout, gaussian_readout

__all__ = [
    "MeanAndVariance",
    "Null",
    "SheetReadout",
    "UnitPairs",
    "Welch",
    "against_null",
    "check_groups",
    "cluster_masses",
    "clusters",
    "count_and_largest",
    "cross_morans_i",
    "flipped_pairs",
    "gaussian_readout",
    "grouped_p",
    "halves",
    "islands_morans_i",
    "largest_mass",
    "morans_i",
    "morans_i_on_graph",
    "participation_ratio",
    "q_values",
    "reaches",
    "residuals",
    "shuffled_labels",
    "shuffled_within",
    "spatial_correlation",
    "tfce",
    "welch",
    "welch_t",
]
