"""Map statistic: how much of a map is the same in other texts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps
from toposheet.stats import cross_morans_i


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    return cross_morans_i(maps.even, maps.odd)


STATISTIC = MapStatistic(
    values=_values,
    description="bivariate Moran's I between the maps of the even and of the odd texts of each condition",
    position=20,
)
