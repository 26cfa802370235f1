"""The interface of a map statistic: a function of the maps of one tap. Nulls and tables are then computed for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from toposheet.stats import count_and_largest


@dataclass(frozen=True, eq=False)
class TapMaps:
    """The maps of a tap or of a whole sheet: single maps, or stacks of maps of draws. Cells without a unit are nan.

    Args:
        t: Welch's t.
        standardised: Welch's t; on a sheet with several taps standardised in each tap (`TapLayout.standardised`).
        q: False discovery rate over all units of all taps; the smallest one of the units of a cell.
        n_positive: Number of significant units with t > 0 in each cell.
        n_negative: Number of significant units with t < 0 in each cell.
        n_significant: Number of significant units. Units that share a cell count one by one.
        n_units: Number of units, with silent units.
        contiguity: Which cells are neighbours in a cluster. `"queen"`: cells that share an edge or a corner. `"rook"`:
            cells that share an edge.
        min_size: Number of units of the smallest cluster that counts.
        weights: Weights of neighbours in Moran's I: `"binary"`, or `"row"` for row-standardised weights.
    """

    t: Float[np.ndarray, "*draws y x"]
    standardised: Float[np.ndarray, "*draws y x"]
    q: Float[np.ndarray, "*draws y x"]
    n_positive: Float[np.ndarray, "*draws y x"]
    n_negative: Float[np.ndarray, "*draws y x"]
    n_significant: Int[np.ndarray, "*draws"]
    n_units: int
    contiguity: str
    min_size: int
    weights: str = "binary"

    @property
    def significant(self) -> Bool[np.ndarray, "*draws y x"]:
        """True for each significant cell: any of its units is significant."""
        return self.n_positive + self.n_negative > 0

    @cached_property
    def clusters_of_signs(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """The number of clusters and the size of the largest cluster.

        The first pair counts clusters of positive significant units, the second pair those of negative ones.
        """
        positive, negative = (
            count_and_largest(n_units > 0, self.contiguity, self.min_size, n_units)
            for n_units in (self.n_positive, self.n_negative)
        )
        return positive, negative


@dataclass(frozen=True)
class MapStatistic:
    """A statistic of the map of a contrast.

    Args:
        values: A function of the maps of a tap. It returns one value for each map of a stack: (..., y, x) becomes
            (...). A value is nan where the statistic is undefined.
        description: One sentence that says what the statistic measures.
        position: Position in tables: statistics are sorted by this number.
    """

    values: Callable[[TapMaps], Float[np.ndarray, "*draws"]]
    description: str
    position: int = 100
