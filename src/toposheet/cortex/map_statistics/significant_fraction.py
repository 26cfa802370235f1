"""Map statistic: the fraction of units that are significant."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps


def _values(maps: TapMaps) -> Float[np.ndarray, "*draws"]:
    return np.asarray(maps.n_significant / maps.n_units)


STATISTIC = MapStatistic(
    values=_values,
    description=f"fraction of units with q < {SIGNIFICANT:g} (Benjamini-Hochberg over all taps together)",
    position=40,
)
