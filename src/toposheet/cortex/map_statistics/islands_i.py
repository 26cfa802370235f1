"""How smooth a map is where it is significant."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps
from toposheet.stats import islands_morans_i


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    return islands_morans_i(maps.t, maps.significant)


STATISTIC = MapStatistic(
    values=_values,
    description="Moran's I of the significant units alone; nan where under 10 % or 30 units of a tap are significant",
    place=30,
)
