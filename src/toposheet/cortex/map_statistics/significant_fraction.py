"""Map statistic: the fraction of units that are significant."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    with np.errstate(invalid="ignore"):  # 0 / 0 = nan for a tap whose units are all silent
        return np.asarray(maps.significant.sum(axis=(-2, -1)) / (~np.isnan(maps.t)).sum(axis=(-2, -1)))


STATISTIC = MapStatistic(
    values=_values,
    description="fraction of units with q < 0.05 (Benjamini-Hochberg over all taps together)",
    place=40,
)
