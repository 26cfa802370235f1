from toposheet.stats.clusters import cluster_masses, clusters, count_and_largest, largest_mass, tfce
from toposheet.stats.contrast import MeanAndVariance, TTest, centred, q_values, residuals, small_q_values, t_of, t_test
from toposheet.stats.covariance import UnitPairs, bimodality, participation_ratio, spatial_correlation
from toposheet.stats.moran import (
    cross_morans_i,
    islands_morans_i,
    lagged_inner_products,
    morans_i,
    morans_i_on_graph,
    morans_i_parts,
)
from toposheet.stats.multiplicity import familywise_p, holm
from toposheet.stats.nulls import (
    Null,
    against_null,
    halves,
    random_signs,
    reaches,
    shuffled,
    shuffled_labels,
)
from toposheet.stats.proportions import chance_p, interval_of_mean, paired_interval, paired_p, wilson_interval
from toposheet.stats.readout import SheetReadout, gaussian_readout
from toposheet.stats.skewness import skewness_of_t
from toposheet.stats.smoothness import grid_autocorrelation, half_width_fwhm, neighbour_fwhm

__all__ = [
    "MeanAndVariance",
    "Null",
    "SheetReadout",
    "TTest",
    "UnitPairs",
    "against_null",
    "bimodality",
    "centred",
    "chance_p",
    "cluster_masses",
    "clusters",
    "count_and_largest",
    "cross_morans_i",
    "familywise_p",
    "gaussian_readout",
    "grid_autocorrelation",
    "half_width_fwhm",
    "halves",
    "holm",
    "interval_of_mean",
    "islands_morans_i",
    "lagged_inner_products",
    "largest_mass",
    "morans_i",
    "morans_i_on_graph",
    "morans_i_parts",
    "neighbour_fwhm",
    "paired_interval",
    "paired_p",
    "participation_ratio",
    "q_values",
    "random_signs",
    "reaches",
    "residuals",
    "shuffled",
    "shuffled_labels",
    "skewness_of_t",
    "small_q_values",
    "spatial_correlation",
    "t_of",
    "t_test",
    "tfce",
    "wilson_interval",
]
