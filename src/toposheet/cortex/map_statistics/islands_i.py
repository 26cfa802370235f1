"""Map statistic: the spatial autocorrelation of the significant units alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps
from toposheet.stats import islands_morans_i


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    return islands_morans_i(maps.standardised, maps.significant)


STATISTIC = MapStatistic(
    values=_values,
    description="Moran's I of the significant units alone; nan where fewer than 10 % of the units of a tap, "
    "or fewer than 30, are significant",
    position=30,
)
