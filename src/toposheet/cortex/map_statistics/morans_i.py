"""Map statistic: the spatial autocorrelation of a map."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps
from toposheet.stats import morans_i


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    return np.asarray(morans_i(maps.standardised, weights=maps.weights))


STATISTIC = MapStatistic(
    values=_values,
    description="spatial autocorrelation of t over all units (Moran 1950), queen contiguity, no threshold; on a "
    "sheet with several taps, t is standardised in each tap first",
    position=10,
)
