"""Controls: as many units elsewhere, on which is acted as strongly as on the units of a region.

A control of a stimulation gets the currents of the region. The units of the region are then those with at least half of
the largest current. Outside of them there may be fewer units than the region has currents; the weakest are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Int
from scipy.optimize import linear_sum_assignment

from toposheet.cortex import Comparison
from toposheet.errors import UserError, check_type
from toposheet.interventions.activity import Activity
from toposheet.interventions.acts import Weights
from toposheet.interventions.regions import Mask
from toposheet.settings import check_count, check_seed
from toposheet.subject import Subject
from toposheet.wording import counted

SCATTERED, ELSEWHERE = "scattered", "elsewhere"
LEAST_SELECTIVE, MATCHED, OTHER_NETWORK = "least selective", "matched", "other network"


def scattered(subject: Subject, regions: Sequence[Weights], draws: int, seed: int = 0) -> list[list[Weights]]:
    """Return what several regions become if the units of each tap exchange their places at random.

    In each draw, the units of all regions move together: two regions that share units share as many of them in each
    draw. All units of a tap can be drawn, also those of the region. The region itself is then one of the equally
    probable draws if its places mean nothing, which the test of a focal lesion needs (as the place-null).

    Args:
        subject: The subject.
        regions: How strongly each unit of each region is acted on.
        draws: Number of draws.
        seed: Seed of the draws.

    Returns:
        For each region, its draws.
    """
    check_count("draws", draws, 1)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    moved: list[list[Weights]] = [[] for _ in regions]
    for _ in range(draws):
        order = {tap: rng.permutation(width) for tap, width in subject.topography.widths.items()}
        for of_region, weights in zip(moved, regions, strict=True):
            of_region.append({tap: of_tap[order[tap]] for tap, of_tap in weights.items()})
    return moved


def elsewhere(subject: Subject, name: str, weights: Weights, draws: int, seed: int = 0) -> list[Weights]:
    """Return compact regions with as many units, around random centres on the same sheets, outside of a region.

    On each sheet, the centre is the place of a random unit outside of the region, and the units are those nearest to
    it that are outside of the region. On a sheet with several taps, they may belong to other taps than the region. The
    nearest unit gets the strongest current.

    Args:
        subject: The subject.
        name: Name of the region.
        weights: How strongly each unit of the region is acted on.
        draws: Number of regions.
        seed: Seed of the draws.

    Raises:
        UserError: A sheet has too few units outside of the region.
    """
    check_count("draws", draws, 1)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    chosen: list[Weights] = [{} for _ in range(draws)]
    for sheet_name, sheet in subject.topography.sheets.items():
        of_sheet = np.concatenate([_weights(weights, tap, len(places)) for tap, places in sheet.places.items()])
        if not of_sheet.any():
            continue
        free = _outside(of_sheet, name, f"on the sheet {sheet_name}")
        places, ends = sheet.coordinates, np.cumsum([len(places) for places in sheet.places.values()])[:-1]
        for draw in chosen:
            distances = np.hypot(*(places[free] - places[rng.choice(free)]).T) + 1e-9 * rng.random(len(free))
            given = np.split(_given(of_sheet, free[np.argsort(distances)]), ends)
            draw |= {tap: of_tap for tap, of_tap in zip(sheet.places, given, strict=True) if of_tap.any()}
    return chosen


def least_selective(subject: Subject, name: str, weights: Weights, comparison: Comparison) -> Weights:
    """Return as many units of the same taps outside of a region: those with the smallest |t| of a comparison.

    Args:
        subject: The subject.
        name: Name of the region.
        weights: How strongly each unit of the region is acted on.
        comparison: The comparison, of responses of this subject.

    Raises:
        UserError: A tap has too few units outside of the region.
    """
    t, chosen = _by_tap(subject, comparison.t), {}
    for tap, of_tap in weights.items():
        free = _outside(of_tap, name, f"of {tap}")
        chosen[tap] = _given(of_tap, free[np.argsort(np.abs(np.nan_to_num(t[tap][free])), kind="stable")])
    return chosen


def matched(subject: Subject, name: str, weights: Weights, comparison: Comparison, activity: Activity) -> Weights:
    """Return as many units of the same taps outside of a region, matched in mean activation and in selectivity.

    Each unit of the region gets one other unit, which gets its current. The sum of their squared differences is as
    small as it can be. The differences are those of the mean activation and of t, each divided by its standard
    deviation over the tap.

    Args:
        subject: The subject.
        name: Name of the region.
        weights: How strongly each unit of the region is acted on.
        comparison: The comparison whose t is the selectivity, of responses of this subject.
        activity: The activity of the units, from `unit_activity`.

    Raises:
        UserError: A tap has too few units outside of the region.
    """
    t, chosen = _by_tap(subject, comparison.t), {}
    for tap, of_tap in weights.items():
        free = _outside(of_tap, name, f"of {tap}")
        features = np.stack([activity.mean[tap], np.nan_to_num(t[tap])], axis=1)
        spread = features.std(axis=0)
        features = features / np.where(spread > 0, spread, 1.0)
        units = np.argsort(-of_tap.astype(float), kind="stable")[: min(np.count_nonzero(of_tap), len(free))]
        cost = ((features[units][:, None] - features[free][None]) ** 2).sum(axis=-1)
        rows, columns = linear_sum_assignment(cost)
        chosen[tap] = np.zeros_like(of_tap)
        chosen[tap][free[columns]] = of_tap[units[rows]]
    return chosen


def other_network(subject: Subject, weights: Weights, localizer: xr.Dataset) -> Weights:
    """Return as many units of another localizer: those with its largest t, of all taps, outside of a region.

    Args:
        subject: The subject.
        weights: How strongly each unit of the region is acted on.
        localizer: The other localizer, from `localize` or `load_localizer`.

    Raises:
        UserError: The localizer is of another model. Or there are too few units outside of the region.
    """
    check_type("localizer", localizer, xr.Dataset, "what toposheet.localize returns")
    Mask.of(localizer).units(subject)  # this refuses a localizer of another model
    t = _by_tap(subject, localizer["t"])
    of_all = np.concatenate([_weights(weights, tap, len(of_tap)) for tap, of_tap in t.items()])
    free = _outside(of_all, "the region", f"of {subject.name}")
    values = np.nan_to_num(np.concatenate(list(t.values()))[free], nan=-np.inf)
    ends = np.cumsum([len(of_tap) for of_tap in t.values()])[:-1]
    given = np.split(_given(of_all, free[np.argsort(-values, kind="stable")]), ends)
    return {tap: of_tap for tap, of_tap in zip(t, given, strict=True) if of_tap.any()}


def name_of_other(localizer: xr.Dataset) -> str:
    """Return the name of the control `other_network` of a localizer."""
    return f"{OTHER_NETWORK}: {localizer.attrs.get('contrast', '')}"


def core(weights: np.ndarray) -> Bool[np.ndarray, " units"]:
    """Return which units are acted on at least half as strongly as the one that is acted on most strongly."""
    return (weights > 0) & (weights >= 0.5 * weights.max() - 1e-9)


def _outside(weights: np.ndarray, name: str, where: str) -> Int[np.ndarray, " free"]:
    """Return the numbers of the units outside of a region.

    Raises:
        UserError: They are fewer than the units of the region.
    """
    inside = core(weights)
    free, n_units = np.flatnonzero(~inside), int(inside.sum())
    if len(free) < n_units:
        raise UserError(
            f"{name} has {counted(n_units, 'unit')} {where}, and {counted(len(free), 'other unit')} are left: there "
            "are not as many units outside of the region"
        )
    return free


def _given(weights: np.ndarray, to: Int[np.ndarray, " free"]) -> np.ndarray:
    """Return the weights of a region, given to other units: the largest to the first of them."""
    largest_first = -np.sort(-weights[weights > 0].astype(float))
    given = np.zeros_like(weights)
    given[to[: len(largest_first)]] = largest_first[: len(to)]
    return given


def _weights(weights: Mapping[str, np.ndarray], tap: str, n_units: int) -> np.ndarray:
    """Return the weights of the units of a tap: 0 if no unit of the tap is acted on."""
    return weights.get(tap, np.zeros(n_units, dtype=next(iter(weights.values())).dtype))


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
