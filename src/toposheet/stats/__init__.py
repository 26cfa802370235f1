from toposheet.stats.contrast import Welch, q_values, welch_t
from toposheet.stats.moran import cross_morans_i, morans_i
from toposheet.stats.nulls import Null, against_null, check_permutations, shuffled_labels
from toposheet.stats.readout import gaussian_readout

__all__ = [
    "Null",
    "Welch",
    "against_null",
    "check_permutations",
    "cross_morans_i",
    "gaussian_readout",
    "morans_i",
    "q_values",
    "shuffled_labels",
    "welch_t",
]
