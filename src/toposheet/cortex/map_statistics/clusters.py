"""Map statistic: the number of clusters of significant units."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    positive, negative = maps.clusters_of_signs
    return np.asarray(positive[0] + negative[0])


STATISTIC = MapStatistic(
    values=_values,
    description="number of clusters of adjacent significant units of one sign",
    position=50,
)
