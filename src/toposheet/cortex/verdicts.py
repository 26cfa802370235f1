"""Verdicts: the results of tests, in words. A verdict never claims more than the p of its test allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import n_significant, of_taps
from toposheet.results import rows_with
from toposheet.wording import count_of_units, counted, equals_p, number


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
    f"a unit is significant if q < {SIGNIFICANT:g} over all taps; an effect is spatially ordered if neighbouring units "
    f"have similar effects, more than the same effects at random places (organisation, mean over taps, p <= "
    f"{SIGNIFICANT:g}); this p is not corrected for the number of contrasts"
)
"""The meaning of the words in verdicts."""

_ORDERED = "the effect is spatially ordered"


def order_verdict(organisation: float, p: float, permutations: int) -> str:
    """Return whether an effect is spatially ordered, in words.

    Args:
        organisation: The value of the organisation, mean over taps (`organisation`).
        p: Its p. nan: it is undefined.
        permutations: Number of draws of its null.
    """
    if reason := _untested(organisation, p, permutations):
        return f"whether {_ORDERED} is not tested: {reason}"
    result = f"organisation {number(organisation)}, {equals_p(p, permutations)}"
    ordered = _is_ordered(organisation, p, permutations)
    return f"{_ORDERED} ({result})" if ordered else f"it is not shown that {_ORDERED} ({result})"


def needed_draws(n_contrasts: int, permutations: int) -> str:
    """Return why no p that is corrected for the number of contrasts can be significant, or an empty text if one can be.

    Args:
        n_contrasts: The number of contrasts.
        permutations: Number of draws of the null.
    """
    if permutations >= (needed := draws_for(n_contrasts)):
        return ""
    return (
        f"with {counted(n_contrasts, 'contrast')} and {permutations:,} draws no corrected p can be below "
        f"{n_contrasts / (1 + permutations):.2g}: {needed:,} draws are needed for {SIGNIFICANT:g}"
    )


def draws_for(n_contrasts: int) -> int:
    """Return with how many draws of a null a p that is corrected for the number of contrasts can be significant.

    Holm's method multiplies the smallest p by the number of contrasts.
    """
    return math.ceil(round(n_contrasts / SIGNIFICANT, 6)) - 1


def _untested(organisation: float, p: float, permutations: int) -> str:
    if math.isnan(organisation):
        return "no map varies between neighbours"
    return "the texts are not independent" if math.isnan(p) else _too_few_draws(permutations)


def _is_ordered(organisation: float, p: float, permutations: int) -> bool:
    return not _untested(organisation, p, permutations) and p <= SIGNIFICANT and organisation > 0


@dataclass(frozen=True)
class MapVerdict:
    """The verdict on one map. `str(verdict)` is one sentence; `EXPLAINED` gives the meaning of its words.

    Args:
        n_significant: Number of units with q < 0.05.
        n_units: Number of units of all taps.
        organisation: The value of the organisation, mean over taps (`organisation`).
        p: Its p. nan: it is undefined.
        permutations: Number of draws of its null.
    """

    n_significant: int
    n_units: int
    organisation: float
    p: float
    permutations: int

    @property
    def untested(self) -> str:
        """The reason why it is not tested whether the effect is spatially ordered. Empty: it is tested."""
        return _untested(self.organisation, self.p, self.permutations)

    @property
    def is_ordered(self) -> bool:
        """True if the effect is spatially ordered: p of the organisation is at most 0.05, and its value is positive."""
        return _is_ordered(self.organisation, self.p, self.permutations)

    @property
    def units(self) -> str:
        """The number of significant units, in words."""
        return count_of_units(self.n_significant, self.n_units)

    def __str__(self) -> str:
        return f"{self.units}; {order_verdict(self.organisation, self.p, self.permutations)}"


def map_verdict(statistics: pd.DataFrame, organisation: pd.DataFrame, permutations: int) -> MapVerdict:
    """Return the verdict on one map.

    Args:
        statistics: The rows of `topography_statistics` of this map.
        organisation: The rows of `organisation` of this map.
        permutations: Number of draws of the nulls.
    """
    fraction = of_taps(rows_with(statistics, statistic="significant_fraction"))
    (mean_over_taps,) = rows_with(organisation, **MEAN_OVER_TAPS).to_dict("records")
    return MapVerdict(
        n_significant=n_significant(fraction["value"], fraction["n_units"]),
        n_units=int(fraction["n_units"].sum()),
        organisation=float(mean_over_taps["value"]),
        p=float(mean_over_taps["p"]),
        permutations=permutations,
    )


def verdict_of_models(verdicts: Sequence[MapVerdict]) -> str:
    """Return a sentence with the verdict on the map of one contrast in several models.

    Models in which it is not tested whether the effect is spatially ordered are counted separately, with the reasons.

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
        return f"{units}; whether {_ORDERED} is not tested: {reasons}"
    n_ordered = sum(verdict.is_ordered for verdict in verdicts)
    order = f"in {n_ordered} of {n_tested} tested models {_ORDERED} (p ≤ {SIGNIFICANT:g})"
    return f"{units}; {order}" + (f"; {n - n_tested} not tested: {reasons}" if reasons else "")


def criterion_verdict(p: float, p_holm: float, *, holds: bool, by_draws: bool, permutations: int) -> str:
    """Return the verdict on a test of a criterion: `shown`, `not shown`, or `not tested` with the reason.

    `shown` also says whether the result remains if p is corrected for the number of tests of the criteria.

    Args:
        p: The p of the test. nan: the measure is undefined.
        p_holm: The same p, corrected for the number of tests of the criteria of this model.
        holds: Whether p <= 0.05 and the measure is positive.
        by_draws: Whether p is from a null with random draws.
        permutations: Number of draws of this null.
    """
    if math.isnan(p):
        return "not tested: the measure is undefined"
    if by_draws and (few := not_tested(permutations)):
        return few
    if not holds:
        return "not shown"
    if p_holm <= SIGNIFICANT:
        return "shown, also corrected"
    smallest = by_draws and p * (1 + permutations) < 1.5  # no draw reached the value
    return f"shown; to correct p, {permutations:,} draws are too few" if smallest else "shown, but not if corrected"
