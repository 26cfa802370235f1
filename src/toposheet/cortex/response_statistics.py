"""Statistics of responses that need no conditions: dimensions, bimodality, smoothness, wiring, and r by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Shaped

from toposheet.cortex.design import check_finite
from toposheet.cortex.layout import map_layouts, row_names, shuffled_places, with_mean
from toposheet.cortex.statistics import STATISTICS, statistics_table
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed
from toposheet.stats import (
    UnitPairs,
    against_null,
    bimodality,
    participation_ratio,
    shuffled,
    spatial_correlation,
)
from toposheet.stats.covariance import SpatialCorrelation

RESPONSES = Table(
    "responses.csv",
    {name: kind for name, kind in STATISTICS.columns.items() if name not in ("contrast", "negative_control")},
    "a statistic of the responses of one tap or sheet, over all texts of all conditions",
)
CURVES = Table(
    "correlation.csv",
    {"sheet": "text", "tap": "text", "distance_mm": "number", "r": "number",
     "null_mean": "number", "null_sd": "number", "z": "number", "p": "number"},
    "the mean correlation between two units of one tap or sheet, at one distance",
)  # fmt: skip
MOST_UNITS = 4096  # of a sheet with several taps; all pairs of the units of a large sheet would not fit in memory


def response_statistics(
    responses: xr.DataArray, *, permutations: int = PERMUTATIONS, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Return statistics of the responses of each tap and sheet that do not depend on conditions, with the place-null.

    The column `statistic` is one of:

    - `participation_ratio`: how many dimensions the responses fill (`stats.participation_ratio`). It does not depend on
      places, so it has no null. If it is small, every map is a mixture of a few patterns, and nulls of map statistics
      are wide.
    - `bimodality`: whether the correlations between all pairs of units have two peaks (`stats.bimodality`). It does not
      depend on places either. Compare it with that of a control model.
    - `smoothness_mm`: the width (FWHM) of the Gaussian that gives white noise the observed correlation of adjacent
      units.
    - `wiring_mm`: the mean distance between units that respond alike. Small values are topographic, so p is the
      probability of a value at least as small.

    Of a sheet with several taps and more than 4,096 units, 4,096 random units count, except in `participation_ratio`.

    Args:
        responses: Responses from `respond`. All stimuli count, whatever their condition.
        permutations: Number of draws of the place-null, which shuffles the units of a tap among their cells, also on a
            sheet with several taps.
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

    Of a sheet with several taps and more than 4,096 units, 4,096 random units count.

    Args:
        responses: Responses from `respond`. All stimuli count, whatever their condition.
        permutations: Number of draws of the place-null.
        seed: Seed of the draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        A row for each tap and distance, and for each sheet with several taps (tap `*`), with the columns `sheet, tap,
        distance_mm, r, null_mean, null_sd, z, p`. Distances are in mm, rounded to multiples of the spacing of the
        cells. The sheet `*` with the tap `*` has the mean over the taps with units at this distance. The null of this
        mean is the mean over taps in the same draws.

    Raises:
        UserError: The seed or the number of permutations is out of range, or a response is not finite.
    """
    correlations = spatial_correlations(responses, permutations=permutations, seed=seed, progress=progress)
    return curve_of(responses, correlations)


@dataclass(frozen=True, eq=False)
class LayoutCorrelations:
    """The correlations between the units of a tap, or of a sheet with several taps.

    Args:
        bimodality: The bimodality of the correlations of all pairs.
        in_place: The correlation of two units by their distance, with the units at their places.
        moved: With the units at shuffled places, in each draw of the place-null.
    """

    bimodality: float
    in_place: SpatialCorrelation
    moved: SpatialCorrelation


def spatial_correlations(
    responses: xr.DataArray, *, permutations: int = PERMUTATIONS, seed: int = 0, progress: Progress | None = None
) -> list[LayoutCorrelations]:
    """Return the correlations of each tap and of each sheet with several taps, for `statistics_of` and `curve_of`.

    Args:
        responses: Responses from `respond`.
        permutations: Number of draws of the place-null.
        seed: Seed of the draws.
        progress: A function that is called with the number of taps and sheets done so far. None: no calls.

    Raises:
        UserError: The seed or the number of permutations is out of range, or a response is not finite.
    """
    check_permutations(permutations)
    check_seed(seed)
    check_finite(responses)
    layouts, x, rng = map_layouts(responses), _values(responses), np.random.default_rng(seed)
    taps, tap_of_unit = [layout for layout in layouts if not layout.is_sheet], responses["tap"].values
    drawn = [(np.arange(orders.shape[1]), orders) for orders in shuffled_places(taps, permutations, rng)]
    for layout in layouts[len(taps) :]:
        drawn.append(_some_units(tap_of_unit[layout.units], permutations, rng))
    tell, correlations = progress or SILENT, []
    for number, (layout, (some, orders)) in enumerate(zip(layouts, drawn, strict=True)):
        tell("smoothness and wiring, tap", number, len(layouts))
        values, pairs = x[:, layout.units[some]], UnitPairs.of(layout.cells[some], layout.spacing_mm)
        in_place, moved = (spatial_correlation(values, pairs, order) for order in (None, orders))
        correlations.append(LayoutCorrelations(bimodality(values), in_place, moved))
    tell("smoothness and wiring, tap", len(layouts), len(layouts))
    return correlations


def statistics_of(responses: xr.DataArray, correlations: Sequence[LayoutCorrelations]) -> pd.DataFrame:
    """Return the table of `response_statistics`.

    Args:
        responses: Responses from `respond`.
        correlations: Their correlations, from `spatial_correlations`.
    """
    layouts, x = map_layouts(responses), _values(responses)
    no_draws = np.full((len(correlations[0].moved.r), len(layouts)), np.nan)
    values = {
        "participation_ratio": np.array([participation_ratio(x[:, layout.units]) for layout in layouts]),
        "bimodality": np.array([one.bimodality for one in correlations]),
    }
    placed = dict.fromkeys(values, no_draws)
    for name in ("smoothness_mm", "wiring_mm"):
        values[name] = np.array([float(getattr(one.in_place, name)) for one in correlations])
        placed[name] = np.stack([getattr(one.moved, name) for one in correlations], axis=1)
    no_labels = dict.fromkeys(values, no_draws)
    table = statistics_table(values, placed, no_labels, layouts, smaller_is_topographic=("wiring_mm",))
    return RESPONSES.frame(table.assign(fwhm_mm=0.0))


def curve_of(responses: xr.DataArray, correlations: Sequence[LayoutCorrelations]) -> pd.DataFrame:
    """Return the table of `correlation_curve`.

    Args:
        responses: Responses from `respond`.
        correlations: Their correlations, from `spatial_correlations`.
    """
    layouts, curves = map_layouts(responses), []
    for layout, one in zip(layouts, correlations, strict=True):
        distance, r = one.in_place.curve(layout.spacing_mm)
        curves.append((distance, np.concatenate([r[None], one.moved.curve(layout.spacing_mm)[1]])))
    distances = np.unique(np.concatenate([distance for distance, _ in curves]))
    at_distances = np.full((len(curves[0][1]), len(distances), len(layouts)), np.nan)
    for number, (distance, r) in enumerate(curves):
        at_distances[:, np.searchsorted(distances, distance), number] = r
    of_rows, tables = with_mean(at_distances, layouts), []
    for sheet, tap, r in zip(*row_names(layouts).values(), np.moveaxis(of_rows, -1, 0), strict=True):
        here = np.isfinite(r[0])
        columns = {"distance_mm": distances[here], "r": r[0, here], **against_null(r[0, here], r[1:, here]).columns()}
        tables.append(pd.DataFrame({"sheet": sheet, "tap": tap, **columns}))
    return CURVES.frame(pd.concat(tables, ignore_index=True))


def _some_units(
    tap: Shaped[np.ndarray, " units"], permutations: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " some"], Int[np.ndarray, "permutations some"]]:
    """Return at most `MOST_UNITS` random units of a sheet, and orders that shuffle these units within their taps.

    Args:
        tap: The tap of each unit of the sheet.
        permutations: Number of orders.
        rng: Generator of the random draws.
    """
    some = np.sort(rng.permutation(len(tap))[:MOST_UNITS])
    orders = np.empty((permutations, len(some)), dtype=np.int64)
    for name in dict.fromkeys(tap[some].tolist()):
        of_tap = np.flatnonzero(tap[some] == name)
        orders[:, of_tap] = of_tap[shuffled(len(of_tap), permutations, rng)]
    return some, orders


def _values(responses: xr.DataArray) -> Float[np.ndarray, "stimuli units"]:
    return responses.transpose("stimulus", "unit").values.astype(np.float64)
