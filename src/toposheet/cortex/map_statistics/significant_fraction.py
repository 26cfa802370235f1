"""How many units respond differently."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    with np.errstate(invalid="ignore"):  # in a tap that is silent there is no unit to count: nan
        return np.asarray(maps.significant.sum(axis=(-2, -1)) / (~np.isnan(maps.t)).sum(axis=(-2, -1)))


STATISTIC = MapStatistic(
    values=_values,
    description="units with q < 0.05, Benjamini-Hochberg over all taps jointly",
    place=40,
)
