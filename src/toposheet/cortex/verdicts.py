"""Verdicts: the results of tests, in words. A verdict never claims more than the p of its test allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.summary import n_significant
from toposheet.figures.numbers import count_of_units, equals_p, number


def not_tested(permutations: int) -> str:
    """Return `not tested` and the reason if a null has too few draws for a significant p; otherwise an empty text.

    Args:
        permutations: Number of draws of the null.
    """
    reason = _too_few_draws(permutations)
    return f"not tested: {reason}" if reason else ""


def _too_few_draws(permutations: int) -> str:
    """Return why no p of a null can be significant, or an empty text if a p can be."""
    if 1 / (1 + permutations) <= SIGNIFICANT:
        return ""
    return f"with {permutations} draws no p can reach {SIGNIFICANT:g}"


EXPLAINED = (
    f"a unit is significant if q < {SIGNIFICANT:g} over all taps; a map comes back in the other half of the texts if "
    f"its cross-half I (mean over taps) is larger than with shuffled labels (p <= {SIGNIFICANT:g}); p is not corrected "
    "for the number of contrasts"
)
"""The meaning of the words in verdicts."""


_RETURN = "whether the map comes back in the other half of the texts"


@dataclass(frozen=True)
class MapVerdict:
    """The verdict on one map. `str(verdict)` is one sentence; `EXPLAINED` gives the meaning of its words.

    Args:
        n_significant: Number of units with q < 0.05.
        n_units: Number of units of all taps.
        cross_half_i: Cross-half I, mean over taps.
        p: The p of cross-half I, from the label-null. nan: there are too few texts for two halves.
        permutations: Number of draws of the label-null.
    """

    n_significant: int
    n_units: int
    cross_half_i: float
    p: float
    permutations: int

    @property
    def untested(self) -> str:
        """The reason why it is not tested whether the map comes back. Empty: it is tested."""
        if math.isnan(self.p):
            return "there are too few texts for two halves"
        return _too_few_draws(self.permutations)

    @property
    def comes_back(self) -> bool:
        """True if the map comes back in the other half of the texts: the p of cross-half I is at most 0.05."""
        return not self.untested and self.p <= SIGNIFICANT

    @property
    def units(self) -> str:
        """The number of significant units, in words."""
        return count_of_units(self.n_significant, self.n_units)

    @property
    def _cross_half(self) -> str:
        return f"cross-half I {number(self.cross_half_i)}, {equals_p(self.p)}"

    def __str__(self) -> str:
        if self.untested:
            halves = f"{_RETURN} is not tested: {self.untested}"
        elif self.comes_back:
            halves = f"the map comes back in the other half of the texts ({self._cross_half})"
        else:
            halves = f"it is not shown that the map comes back in the other half of the texts ({self._cross_half})"
        return f"{self.units}; {halves}"


def map_verdict(statistics: pd.DataFrame, permutations: int) -> MapVerdict:
    """Return the verdict on one map.

    Args:
        statistics: The rows of `topography_statistics` of one map: of each tap, and of the mean over taps.
        permutations: Number of draws of the nulls.
    """
    fraction = statistics[(statistics["statistic"] == "significant_fraction") & (statistics["tap"] != ALL_TAPS)]
    halves = statistics[(statistics["statistic"] == "cross_half_i") & (statistics["tap"] == ALL_TAPS)]
    return MapVerdict(
        n_significant=n_significant(fraction["value"], fraction["n_units"]),
        n_units=int(fraction["n_units"].sum()),
        cross_half_i=float(halves["value"].iloc[0]) if len(halves) else math.nan,
        p=float(halves["label_p"].iloc[0]) if len(halves) else math.nan,
        permutations=permutations,
    )


def verdict_of_models(verdicts: Sequence[MapVerdict]) -> str:
    """Return a sentence with the verdict on the map of one contrast in several models.

    Models in which it is not tested whether the map comes back are counted separately, with the reasons.

    Args:
        verdicts: The verdict of each model.
    """
    if len(verdicts) == 1:
        return str(verdicts[0])
    n = len(verdicts)
    units = f"{sum(verdict.n_significant > 0 for verdict in verdicts)} of {n} models have significant units"
    n_tested = sum(not verdict.untested for verdict in verdicts)
    reasons = "; ".join(dict.fromkeys(verdict.untested for verdict in verdicts if verdict.untested))
    if not n_tested:
        return f"{units}; {_RETURN} is not tested: {reasons}"
    back = sum(verdict.comes_back for verdict in verdicts)
    halves = (
        f"in {back} of {n_tested} tested models the map comes back in the other half of the texts (p ≤ {SIGNIFICANT:g})"
    )
    return f"{units}; {halves}" + (f"; {n - n_tested} not tested: {reasons}" if reasons else "")


def criterion_verdict(p: float, *, holds: bool, random_draws: bool, permutations: int) -> str:
    """Return the verdict on a test of a criterion: `shown`, `not shown`, or `not tested` with the reason.

    Args:
        p: The p of the test. nan: the measure is undefined.
        holds: Whether p <= 0.05 and the measure is positive.
        random_draws: Whether p is from a null with random draws.
        permutations: Number of draws of this null.
    """
    if math.isnan(p):
        return "not tested: the measure is undefined"
    if random_draws and (few := not_tested(permutations)):
        return few
    return "shown" if holds else "not shown"
