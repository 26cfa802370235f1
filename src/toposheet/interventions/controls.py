"""Controls: as many units elsewhere, on which is acted as strongly as on the units of a region.

A control of a stimulation gets the currents of the region. The current of a disc reaches beyond its radius, so there
may be fewer units outside of the disc than it has currents. The weakest currents are then left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Int
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.cortex import Comparison
from toposheet.errors import UserError, check_type
from toposheet.interventions.acts import Target, Weights
from toposheet.interventions.regions import Mask
from toposheet.settings import check_count, check_seed
from toposheet.subject import Subject
from toposheet.wording import counted

SCATTERED, ELSEWHERE = "scattered", "elsewhere"
LEAST_SELECTIVE, MATCHED, OTHER_NETWORK = "least selective", "matched", "other network"


Order = dict[str, Int[np.ndarray, " units"]]
"""An order of the units of each tap: {tap: for each unit, the number of the unit whose weight it gets}."""


def orders(subject: Subject, draws: int, seed: int = 0) -> list[Order]:
    """Return draws in which the units of each tap exchange their places at random.

    In each draw, the units of all regions move together: two regions that share units share as many of them in each
    draw. All units of a tap can be drawn, also those of the region. The region itself is then one of the equally
    probable draws if its places mean nothing, which the test of a focal lesion needs (as the place-null).

    Args:
        subject: The subject.
        draws: Number of draws.
        seed: Seed of the draws.
    """
    check_count("draws", draws, 0)
    check_seed(seed)
    rng, widths = np.random.default_rng(seed), subject.topography.widths
    return [{tap: rng.permutation(width).astype(np.int32) for tap, width in widths.items()} for _ in range(draws)]


def scattered(weights: Weights, order: Order) -> Weights:
    """Return the weights of scattered units: as many of each tap as a region has, as strongly acted on.

    Args:
        weights: How strongly each unit is acted on.
        order: A draw, from `orders`.
    """
    return {tap: of_tap[order[tap]] for tap, of_tap in weights.items()}


class TooFewUnits(UserError):
    """There are not as many units outside of a region as inside, so a control region cannot be as large."""


def elsewhere(target: Target, draws: int, seed: int = 0) -> Sequence[Weights]:
    """Return compact regions with as many units, around random centres on the same sheets, outside of a region.

    On each sheet, the centre is the place of a random unit outside of the region, and the units are those nearest to
    it that are outside of the region. On a sheet with several taps, they may belong to other taps than the region. The
    nearest unit gets the strongest current.

    Args:
        target: The region with what is done to it.
        draws: Number of regions.
        seed: Seed of the draws.

    Raises:
        TooFewUnits: A sheet has too few units outside of the region.
    """
    check_count("draws", draws, 1)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    chosen: list[dict[str, np.ndarray]] = [{} for _ in range(draws)]
    for sheet_name, sheet in target.subject.topography.sheets.items():
        of_sheet = np.concatenate([_of_tap(target.weights, tap, len(places)) for tap, places in sheet.places.items()])
        if not of_sheet.any():
            continue
        inside = np.concatenate([_of_tap(target.units, tap, len(places)) for tap, places in sheet.places.items()])
        free = _outside(inside, target, f"on the sheet {sheet_name}")
        places, ends = sheet.coordinates, np.cumsum([len(places) for places in sheet.places.values()])[:-1]
        for draw in chosen:
            distances = np.hypot(*(places[free] - places[rng.choice(free)]).T) + 1e-9 * rng.random(len(free))
            given = np.split(_given(of_sheet, free[np.argsort(distances)]), ends)
            draw |= {tap: of_tap for tap, of_tap in zip(sheet.places, given, strict=True) if of_tap.any()}
    return chosen


def least_selective(target: Target, comparison: Comparison) -> Weights:
    """Return as many units of the same taps outside of a region: those with the smallest |t| of a comparison.

    Args:
        target: The region with what is done to it.
        comparison: The comparison, of responses of this subject.

    Raises:
        TooFewUnits: A tap has too few units outside of the region.
    """
    t, chosen = _by_tap(target.subject, comparison.t), {}
    for tap, of_tap in target.weights.items():
        free = _outside(_of_tap(target.units, tap, len(of_tap)), target, f"of {tap}")
        size = np.nan_to_num(np.abs(t[tap][free]), nan=np.inf)  # a silent unit has no t; it is taken last
        chosen[tap] = _given(of_tap, free[np.argsort(size, kind="stable")])
    return chosen


def matched(target: Target, comparison: Comparison) -> Weights:
    """Return as many units of the same taps outside of a region, matched in mean activation and in selectivity.

    Each unit of the region gets one other unit, which gets its current. The sum of their squared differences is as
    small as it can be. The differences are those of the mean activation and of t, each divided by its standard
    deviation over the tap.

    Args:
        target: The region with what is done to it, and with the activity of the units.
        comparison: The comparison whose t is the selectivity, of responses of this subject.

    Raises:
        TooFewUnits: A tap has too few units outside of the region.
    """
    assert target.activity is not None, "matched units need the activity"
    mean = target.activity.mean
    t, chosen = _by_tap(target.subject, comparison.t), {}
    for tap, of_tap in target.weights.items():
        free = _outside(_of_tap(target.units, tap, len(of_tap)), target, f"of {tap}")
        features = np.stack([mean[tap], np.nan_to_num(t[tap])], axis=1)
        spread = features.std(axis=0)
        features = features / np.where(spread > 0, spread, 1.0)
        acted_on = np.argsort(-of_tap.astype(float), kind="stable")[: min(np.count_nonzero(of_tap), len(free))]
        rows, columns = linear_sum_assignment(cdist(features[acted_on], features[free], "sqeuclidean"))
        chosen[tap] = np.zeros_like(of_tap)
        chosen[tap][free[columns]] = of_tap[acted_on[rows]]
    return chosen


def other_network(target: Target, localizer: xr.Dataset) -> Weights:
    """Return as many units of another localizer: those with its largest t, of all taps, outside of a region.

    Args:
        target: The region with what is done to it.
        localizer: The other localizer, from `localize` or `load_localizer`.

    Raises:
        UserError: The localizer is of another model.
        TooFewUnits: There are too few units outside of the region.
    """
    check_type("localizer", localizer, xr.Dataset, "what toposheet.localize returns")
    Mask.of(localizer).units(target.subject)  # this refuses a localizer of another model
    t = _by_tap(target.subject, localizer["t"])
    of_all = np.concatenate([_of_tap(target.weights, tap, len(of_tap)) for tap, of_tap in t.items()])
    inside = np.concatenate([_of_tap(target.units, tap, len(of_tap)) for tap, of_tap in t.items()])
    free = _outside(inside, target, f"of {target.subject.name}")
    values = np.nan_to_num(np.concatenate(list(t.values()))[free], nan=-np.inf)
    ends = np.cumsum([len(of_tap) for of_tap in t.values()])[:-1]
    given = np.split(_given(of_all, free[np.argsort(-values, kind="stable")]), ends)
    return {tap: of_tap for tap, of_tap in zip(t, given, strict=True) if of_tap.any()}


def name_of_other(localizer: xr.Dataset) -> str:
    """Return the name of the control `other_network` of a localizer."""
    return f"{OTHER_NETWORK}: {localizer.attrs.get('contrast', '')}"


def _outside(inside: Bool[np.ndarray, " units"], target: Target, where: str) -> Int[np.ndarray, " free"]:
    """Return the numbers of the units outside of a region.

    Raises:
        TooFewUnits: They are fewer than the units of the region.
    """
    free, n_units = np.flatnonzero(~inside), int(inside.sum())
    if len(free) < n_units:
        raise TooFewUnits(
            f"{target.region} has {counted(n_units, 'unit')} {where}, and {counted(len(free), 'other unit')} are left: "
            "there are not as many units outside of the region"
        )
    return free


def _given(weights: np.ndarray, to: Int[np.ndarray, " free"]) -> np.ndarray:
    """Return the weights of a region, given to other units: the largest to the first of them."""
    largest_first = -np.sort(-weights[weights > 0].astype(float))
    given = np.zeros_like(weights)
    given[to[: len(largest_first)]] = largest_first[: len(to)]
    return given


def _of_tap(by_tap: Mapping[str, np.ndarray], tap: str, n_units: int) -> np.ndarray:
    """Return what a region has for the units of a tap: 0 or False if it has no unit of the tap."""
    return by_tap.get(tap, np.zeros(n_units, dtype=next(iter(by_tap.values())).dtype))


def _by_tap(subject: Subject, values: xr.DataArray) -> dict[str, np.ndarray]:
    """Return values of units by tap, in the order of the taps of a subject.

    Raises:
        UserError: The values are of another model.
    """
    taps, widths = values["tap"].values, subject.topography.widths
    by_tap = {tap: values.values[taps == tap] for tap in widths}
    if len(taps) != sum(widths.values()) or any(len(by_tap[tap]) != width for tap, width in widths.items()):
        raise UserError(f"the comparison has other units than {subject.name}: compare responses of this subject")
    return by_tap
