"""Results of tests as sentences. A sentence never claims more than the p of its test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.figures.numbers import count_of_units


def not_tested(permutations: int) -> str:
    """Return a text which says that a null has too few draws for a significant p. With enough draws the text is empty.

    Args:
        permutations: Number of draws of the null.
    """
    if 1 / (1 + permutations) <= SIGNIFICANT:
        return ""
    return f"not tested: with {permutations} draws no p can reach {SIGNIFICANT:g}"


EXPLAINED = (
    f"a unit is significant if q < {SIGNIFICANT:g} over all taps; a map comes back in the other half of the texts if "
    f"its cross-half I (mean over taps) is larger than with shuffled labels (p <= {SIGNIFICANT:g}); p is not corrected "
    "over contrasts"
)
"""The meaning of the words in verdicts."""


@dataclass(frozen=True)
class MapVerdict:
    """The results of the tests of one map. `str` of it gives one sentence, whose words `EXPLAINED` explains.

    Args:
        n_significant: Number of units with q < 0.05.
        n_units: Number of units of all taps.
        p: The p of cross-half I (mean over taps) under shuffled labels. It is nan if there are too few texts to form
            halves.
        permutations: Number of draws of shuffled labels.
    """

    n_significant: int
    n_units: int
    p: float
    permutations: int

    @property
    def comes_back(self) -> bool:
        """Whether the map comes back in the other half of the texts: p <= 0.05 with enough draws."""
        return not not_tested(self.permutations) and self.p <= SIGNIFICANT

    @property
    def units(self) -> str:
        """The number of significant units, in words."""
        return count_of_units(self.n_significant, self.n_units)

    def __str__(self) -> str:
        if math.isnan(self.p):
            halves = "whether the map comes back in the other half of the texts is not tested: too few texts for halves"
        elif few := not_tested(self.permutations):
            halves = f"whether the map comes back in the other half of the texts is {few}"
        elif self.comes_back:
            halves = f"the map comes back in the other half of the texts (p = {self.p:.3f})"
        else:
            halves = f"it is not shown that the map comes back in the other half of the texts (p = {self.p:.3f})"
        return f"{self.units}; {halves}"


def map_verdict(statistics: pd.DataFrame, permutations: int) -> MapVerdict:
    """Return the verdict on one map.

    Args:
        statistics: The rows of the map in the table of `topography_statistics`: all taps, and the mean over taps.
        permutations: Number of draws of each null in the table.
    """
    fraction = statistics[(statistics["statistic"] == "significant_fraction") & (statistics["tap"] != ALL_TAPS)]
    halves = statistics[(statistics["statistic"] == "cross_half_i") & (statistics["tap"] == ALL_TAPS)]
    return MapVerdict(
        n_significant=round(float((fraction["value"] * fraction["n_units"]).sum())),
        n_units=int(fraction["n_units"].sum()),
        p=float(halves["label_p"].iloc[0]) if len(halves) else math.nan,
        permutations=permutations,
    )


def verdict_of_models(verdicts: Sequence[MapVerdict]) -> str:
    """Return one sentence about the map of one contrast in several models.

    Args:
        verdicts: The verdict on the map of each model.
    """
    if len(verdicts) == 1:
        return str(verdicts[0])
    n = len(verdicts)
    units = f"{sum(verdict.n_significant > 0 for verdict in verdicts)} of {n} models have significant units"
    if few := not_tested(verdicts[0].permutations):
        return f"{units}; whether the map comes back in the other half of the texts is {few}"
    back = sum(verdict.comes_back for verdict in verdicts)
    return f"{units}; in {back} of {n} the map comes back in the other half of the texts (p ≤ {SIGNIFICANT:g})"


def criterion_verdict(p: float, *, holds: bool, of_draws: bool, permutations: int) -> str:
    """Return the verdict on a criterion: `shown`, `not shown`, or `not tested` with the reason.

    Args:
        p: The p of the measure. It is nan if the measure is not defined.
        holds: Whether the measure is significant and positive.
        of_draws: Whether p comes from a null with random draws.
        permutations: Number of draws of the null.
    """
    if math.isnan(p):
        return "not tested: not defined"
    if of_draws and (few := not_tested(permutations)):
        return few
    return "shown" if holds else "not shown"
