"""Statistics of responses that need no conditions: dimensions, smoothness, wiring, and correlation by distance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.design import check_finite
from toposheet.cortex.layout import ALL_TAPS, mean_over_taps, shuffled_places, tap_layouts
from toposheet.cortex.statistics import STATISTICS, statistics_table
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed
from toposheet.stats import UnitPairs, against_null, participation_ratio, spatial_correlation

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
    check_permutations(permutations)
    check_seed(seed)
    check_finite(responses)
    taps, x = tap_layouts(responses), responses.transpose("stimulus", "unit").values.astype(np.float64)
    rng = np.random.default_rng(seed)
    value: dict[str, list[float]] = {name: [] for name in ("participation_ratio", "smoothness_mm", "wiring_mm")}
    place: dict[str, list[np.ndarray]] = {name: [] for name in value}
    tell = progress or SILENT
    for number, (tap, orders) in enumerate(zip(taps, shuffled_places(taps, permutations, rng), strict=True)):
        tell("smoothness and wiring, tap", number, len(taps))
        tap_responses, unit_pairs = x[:, tap.units], UnitPairs.of(tap.cells, tap.spacing_mm)
        in_place = spatial_correlation(tap_responses, unit_pairs)
        moved = spatial_correlation(tap_responses, unit_pairs, orders)
        value["participation_ratio"].append(participation_ratio(tap_responses))
        place["participation_ratio"].append(np.full(permutations, np.nan))
        for name in ("smoothness_mm", "wiring_mm"):
            value[name].append(float(getattr(in_place, name)))
            place[name].append(getattr(moved, name))
    tell("smoothness and wiring, tap", len(taps), len(taps))
    values = {name: np.array(tap_values) for name, tap_values in value.items()}
    placed = {name: np.stack(tap_values, axis=1) for name, tap_values in place.items()}
    no_labels = {name: np.full((permutations, len(taps)), np.nan) for name in values}
    table = statistics_table(values, placed, no_labels, taps, smaller_is_topographic=("wiring_mm",))
    return RESPONSES.frame(table.assign(fwhm_mm=0.0))


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
    check_permutations(permutations)
    check_seed(seed)
    check_finite(responses)
    x, rng, curves = responses.transpose("stimulus", "unit").values.astype(np.float64), np.random.default_rng(seed), []
    tell, taps = progress or SILENT, tap_layouts(responses)
    for number, (tap, orders) in enumerate(zip(taps, shuffled_places(taps, permutations, rng), strict=True)):
        tell("correlation by distance, tap", number, len(taps))
        unit_pairs = UnitPairs.of(tap.cells, tap.spacing_mm)
        distance, r = spatial_correlation(x[:, tap.units], unit_pairs).curve(tap.spacing_mm)
        draws = spatial_correlation(x[:, tap.units], unit_pairs, orders).curve(tap.spacing_mm)[1]
        curves.append((distance, np.concatenate([r[None], draws])))
    tell("correlation by distance, tap", len(taps), len(taps))
    distances = np.unique(np.concatenate([distance for distance, _ in curves]))
    of_taps = np.full((1 + permutations, len(distances), len(taps)), np.nan)
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
