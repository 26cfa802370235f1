"""What a statistic of maps is: one function of the maps of a tap. Values, nulls and tables come free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from toposheet.stats import count_and_largest


@dataclass(frozen=True, eq=False)
class TapMaps:
    """The maps of one tap: one, or a stack of those of many draws. Cells without a unit are nan.

    Args:
        t: Welch's t.
        q: False discovery rate over all taps.
        even: Welch's t of the even texts of each condition.
        odd: That of the odd texts; nan where a condition has too few.
        significant: Which cells are significant.
        contiguity: Which cells are neighbours in a cluster: `"queen"` (edge or corner) or `"rook"` (edge).
        min_size: Units of the smallest cluster that counts.
    """

    t: Float[np.ndarray, "*draws y x"]
    q: Float[np.ndarray, "*draws y x"]
    even: Float[np.ndarray, "*draws y x"]
    odd: Float[np.ndarray, "*draws y x"]
    significant: Bool[np.ndarray, "*draws y x"]
    contiguity: str
    min_size: int

    @cached_property
    def clusters_of_signs(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Number of clusters and size of the largest, of positive and of negative significant cells."""
        positive, negative = (
            count_and_largest(self.significant & (sign * self.t > 0), self.contiguity, self.min_size)
            for sign in (1, -1)
        )
        return positive, negative


@dataclass(frozen=True)
class MapStatistic:
    """A statistic of the map of a contrast.

    Args:
        values: Returns one value for each map of a stack: (..., y, x) to (...). nan where it is not defined.
        description: What it says, in a sentence.
        place: Where it stands in tables: statistics are in the order of this number.
    """

    values: Callable[[TapMaps], Float[np.ndarray, "*draws"]]
    description: str
    place: int = 100
