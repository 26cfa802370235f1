"""What tests say, in words: never more than their own p says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.figures.numbers import count_of_units


def not_tested(permutations: int) -> str:
    """Return in words that a null has too few draws for a significant p; nothing where it has enough.

    Args:
        permutations: Draws of the null.
    """
    if 1 / (1 + permutations) <= SIGNIFICANT:
        return ""
    return f"not tested: with {permutations} draws no p can reach {SIGNIFICANT:g}"


EXPLAINED = (
    f"a unit is significant at q < {SIGNIFICANT:g} over all taps; a map comes back where its cross-half I, mean over "
    "taps, is larger than with shuffled labels; p is not corrected over contrasts"
)
"""What the words of verdicts mean."""


@dataclass(frozen=True)
class MapVerdict:
    """What the tests of one map say. Its text is one sentence, `EXPLAINED` says what its words mean.

    Args:
        n_significant: Units with q < 0.05.
        n_units: Units of all taps.
        p: Of cross-half I, mean over taps, under shuffled labels; nan where there are too few texts for halves.
        permutations: Draws of that null.
    """

    n_significant: int
    n_units: int
    p: float
    permutations: int

    @property
    def comes_back(self) -> bool:
        """Whether the map comes back in the other half of the texts more than with shuffled labels."""
        return not not_tested(self.permutations) and self.p <= SIGNIFICANT

    @property
    def units(self) -> str:
        """How many units are significant, in words."""
        return count_of_units(self.n_significant, self.n_units)

    def __str__(self) -> str:
        if math.isnan(self.p):
            halves = "whether the map comes back in the other half is not tested: too few texts for halves"
        elif few := not_tested(self.permutations):
            halves = f"whether the map comes back in the other half is {few}"
        elif self.comes_back:
            halves = f"the map comes back in the other half of the texts (p = {self.p:.3f})"
        else:
            halves = f"that the map comes back in the other half of the texts is not shown (p = {self.p:.3f})"
        return f"{self.units}; {halves}"


def map_verdict(statistics: pd.DataFrame, permutations: int) -> MapVerdict:
    """Return what the tests of one map say.

    Args:
        statistics: The rows of `topography_statistics` of one map, of all taps and of their mean.
        permutations: Draws of its nulls.
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
    """Return what the tests of one map in several models say, in a sentence.

    Args:
        verdicts: One for each model.
    """
    if len(verdicts) == 1:
        return str(verdicts[0])
    n = len(verdicts)
    units = f"{sum(verdict.n_significant > 0 for verdict in verdicts)} of {n} models have significant units"
    if few := not_tested(verdicts[0].permutations):
        return f"{units}; whether the map comes back in the other half is {few}"
    back = sum(verdict.comes_back for verdict in verdicts)
    return f"{units}; in {back} of {n} the map comes back in the other half of the texts (p ≤ {SIGNIFICANT:g})"


def criterion_verdict(p: float, *, holds: bool, of_draws: bool, permutations: int) -> str:
    """Return what the test of a criterion says: `shown`, `not shown`, or that and why it was not tested.

    Args:
        p: Its p; nan where the measure is not defined.
        holds: Whether the measure is significant and positive.
        of_draws: Whether p is that of a null with draws.
        permutations: Draws of such nulls.
    """
    if math.isnan(p):
        return "not tested: not defined"
    if of_draws and (few := not_tested(permutations)):
        return few
    return "shown" if holds else "not shown"
