"""Statistics of responses that need no conditions: dimensions, smoothness, wiring, and correlation by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from toposheet.cortex.design import check_finite
from toposheet.cortex.layout import ALL_TAPS, mean_over_taps, shuffled_places, tap_layouts
from toposheet.cortex.statistics import STATISTICS, statistics_table
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed
from toposheet.stats import UnitPairs, against_null, participation_ratio, spatial_correlation
from toposheet.stats.covariance import SpatialCorrelation

RESPONSES = Table(
    "responses.csv",
    {name: kind for name, kind in STATISTICS.columns.items() if name not in ("contrast", "negative_control")},
    "a statistic of the responses of one tap, over all texts of all conditions",
)
CURVES = Table(
    "correlation.csv",
    {"sheet": "text", "tap": "text", "distance_mm": "number", "r": "number",
     "null_mean": "number", "null_sd": "number", "z": "number", "p": "number"},
    "the mean correlation between two units of one tap, at one distance",
)  # fmt: skip


def response_statistics(
    responses: xr.DataArray, *, permutations: int = PERMUTATIONS, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Return statistics of the responses of each tap that do not depend on conditions, with the place-null.

    The column `statistic` is one of:

    - `participation_ratio`: how many dimensions the responses fill (`stats.participation_ratio`). It does not depend on
      places, so it has no null. If it is small, every map is a mixture of a few patterns, and nulls of map statistics
      are wide.
    - `smoothness_mm`: the width (FWHM) of the Gaussian that gives white noise the observed correlation of adjacent
      units.
    - `wiring_mm`: the mean distance between units that respond alike. Small values are topographic, so p is the
      probability of a value at least as small.

    Args:
        responses: Responses from `respond`. All stimuli count, whatever their condition.
        permutations: Number of draws of the place-null, which shuffles the units of a tap among their cells.
        seed: Seed of the draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        A table like that of `topography_statistics`, without the columns of contrasts. `fwhm_mm` is 0, and the columns
        of the label-null are nan.

    Raises:
        UserError: The seed or the number of permutations is out of range, or a response is not finite.
    """
    correlations = spatial_correlations(responses, permutations=permutations, seed=seed, progress=progress)
    return statistics_of(responses, correlations)


def correlation_curve(
    responses: xr.DataArray, *, permutations: int = PERMUTATIONS, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Return r(d): the mean correlation between two units' responses at each distance, with the place-null.

    Args:
        responses: Responses from `respond`. All stimuli count, whatever their condition.
        permutations: Number of draws of the place-null.
        seed: Seed of the draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        A row for each tap and distance, with the columns `sheet, tap, distance_mm, r, null_mean, null_sd, z, p`.
        Distances are in mm, rounded to multiples of the spacing of the cells. The tap `*` has the mean over the taps
        with units at this distance. The null of this mean is the mean over taps in the same draws.

    Raises:
        UserError: The seed or the number of permutations is out of range, or a response is not finite.
    """
    correlations = spatial_correlations(responses, permutations=permutations, seed=seed, progress=progress)
    return curve_of(responses, correlations)


@dataclass(frozen=True, eq=False)
class TapCorrelations:
    """The correlation of two units of a tap by their distance.

    Args:
        in_place: With the units at their places.
        moved: With the units at shuffled places, in each draw of the place-null.
    """

    in_place: SpatialCorrelation
    moved: SpatialCorrelation


def spatial_correlations(
    responses: xr.DataArray, *, permutations: int = PERMUTATIONS, seed: int = 0, progress: Progress | None = None
) -> list[TapCorrelations]:
    """Return the correlations by distance of each tap, which `statistics_of` and `curve_of` need.

    Args:
        responses: Responses from `respond`.
        permutations: Number of draws of the place-null.
        seed: Seed of the draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Raises:
        UserError: The seed or the number of permutations is out of range, or a response is not finite.
    """
    check_permutations(permutations)
    check_seed(seed)
    check_finite(responses)
    taps, x, rng = tap_layouts(responses), _values(responses), np.random.default_rng(seed)
    tell, correlations = progress or SILENT, []
    for number, (tap, orders) in enumerate(zip(taps, shuffled_places(taps, permutations, rng), strict=True)):
        tell("smoothness and wiring, tap", number, len(taps))
        tap_responses, pairs = x[:, tap.units], UnitPairs.of(tap.cells, tap.spacing_mm)
        in_place, moved = (spatial_correlation(tap_responses, pairs, order) for order in (None, orders))
        correlations.append(TapCorrelations(in_place, moved))
    tell("smoothness and wiring, tap", len(taps), len(taps))
    return correlations


def statistics_of(responses: xr.DataArray, correlations: Sequence[TapCorrelations]) -> pd.DataFrame:
    """Return the table of `response_statistics`.

    Args:
        responses: Responses from `respond`.
        correlations: Their correlations by distance, from `spatial_correlations`.
    """
    taps, x = tap_layouts(responses), _values(responses)
    no_draws = np.full((len(correlations[0].moved.r), len(taps)), np.nan)
    values = {"participation_ratio": np.array([participation_ratio(x[:, tap.units]) for tap in taps])}
    placed = {"participation_ratio": no_draws}
    for name in ("smoothness_mm", "wiring_mm"):
        values[name] = np.array([float(getattr(tap.in_place, name)) for tap in correlations])
        placed[name] = np.stack([getattr(tap.moved, name) for tap in correlations], axis=1)
    no_labels = dict.fromkeys(values, no_draws)
    table = statistics_table(values, placed, no_labels, taps, smaller_is_topographic=("wiring_mm",))
    return RESPONSES.frame(table.assign(fwhm_mm=0.0))


def curve_of(responses: xr.DataArray, correlations: Sequence[TapCorrelations]) -> pd.DataFrame:
    """Return the table of `correlation_curve`.

    Args:
        responses: Responses from `respond`.
        correlations: Their correlations by distance, from `spatial_correlations`.
    """
    taps, curves = tap_layouts(responses), []
    for tap, of_tap in zip(taps, correlations, strict=True):
        distance, r = of_tap.in_place.curve(tap.spacing_mm)
        curves.append((distance, np.concatenate([r[None], of_tap.moved.curve(tap.spacing_mm)[1]])))
    distances = np.unique(np.concatenate([distance for distance, _ in curves]))
    of_taps = np.full((len(curves[0][1]), len(distances), len(taps)), np.nan)
    for number, (distance, r) in enumerate(curves):
        of_taps[:, np.searchsorted(distances, distance), number] = r
    curves.append((distances, mean_over_taps(of_taps)[..., 0]))
    names = [*((tap.sheet, tap.name) for tap in taps), (ALL_TAPS, ALL_TAPS)]
    tables = [
        pd.DataFrame(
            {"sheet": sheet, "tap": tap, "distance_mm": distance, "r": r[0], **against_null(r[0], r[1:]).columns()}
        )
        for (sheet, tap), (distance, r) in zip(names, curves, strict=True)
    ]
    return CURVES.frame(pd.concat(tables, ignore_index=True))


def _values(responses: xr.DataArray) -> Float[np.ndarray, "stimuli units"]:
    return responses.transpose("stimulus", "unit").values.astype(np.float64)
