"""Control regions: as many units elsewhere, with which a lesion of a region is compared."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from toposheet.cortex import Comparison
from toposheet.errors import UserError, check_type
from toposheet.interventions.activity import Activity
from toposheet.interventions.regions import Mask, Region, Units, count_units
from toposheet.settings import check_count, check_seed
from toposheet.subject import Subject
from toposheet.wording import counted

SCATTERED, ELSEWHERE = "scattered", "elsewhere"
LEAST_SELECTIVE, MATCHED, OTHER_NETWORK = "least selective", "matched", "other network"


def scattered(subject: Subject, region: Region, draws: int, seed: int = 0) -> list[Mask]:
    """Return regions with as many units of the same taps, at random places.

    All units of these taps can be drawn, also those of the region. The region itself is then one of the equally
    probable draws if its places mean nothing, which the test of a focal lesion needs (as the place-null).

    Args:
        subject: The subject.
        region: The region.
        draws: Number of regions.
        seed: Seed of the draws.
    """
    check_count("draws", draws, 1)
    check_seed(seed)
    units, rng = region.units(subject), np.random.default_rng(seed)
    regions = []
    for _ in range(draws):
        chosen = {tap: np.zeros(len(mask), dtype=bool) for tap, mask in units.items()}
        for tap, mask in units.items():
            chosen[tap][rng.choice(len(mask), int(mask.sum()), replace=False)] = True
        regions.append(Mask(SCATTERED, chosen))
    return regions


def elsewhere(subject: Subject, region: Region, draws: int, seed: int = 0) -> list[Mask]:
    """Return compact regions with as many units, around random centres on the same sheets, outside of the region.

    On each sheet, the centre is the place of a random unit outside of the region, and the units are those nearest to
    it that are outside of the region. On a sheet with several taps, they may belong to other taps than the region.

    Args:
        subject: The subject.
        region: The region.
        draws: Number of regions.
        seed: Seed of the draws.

    Raises:
        UserError: A sheet has too few units outside of the region.
    """
    check_count("draws", draws, 1)
    check_seed(seed)
    units, rng = region.units(subject), np.random.default_rng(seed)
    chosen: list[Units] = [{} for _ in range(draws)]
    for name, sheet in subject.topography.sheets.items():
        inside = np.concatenate(
            [units.get(tap, np.zeros(len(places), dtype=bool)) for tap, places in sheet.places.items()]
        )
        free, n_units = np.flatnonzero(~inside), int(inside.sum())
        if not n_units:
            continue
        if len(free) < n_units:
            raise UserError(
                f"{region.name} has {n_units} units on the sheet {name}, which has only "
                f"{counted(len(free), 'other unit')}: there are not as many units elsewhere"
            )
        places, ends = sheet.coordinates, np.cumsum([len(places) for places in sheet.places.values()])[:-1]
        for draw in chosen:
            distances = np.hypot(*(places[free] - places[rng.choice(free)]).T) + 1e-9 * rng.random(len(free))
            mask = np.zeros(len(inside), dtype=bool)
            mask[free[np.argsort(distances)[:n_units]]] = True
            draw |= {tap: m for tap, m in zip(sheet.places, np.split(mask, ends), strict=True) if m.any()}
    return [Mask(ELSEWHERE, draw) for draw in chosen]


def least_selective(subject: Subject, region: Region, comparison: Comparison) -> Mask:
    """Return as many units of the same taps outside of the region: those with the smallest |t| of a comparison.

    Args:
        subject: The subject.
        region: The region.
        comparison: The comparison, of responses of this subject.

    Raises:
        UserError: A tap has too few units outside of the region.
    """
    t = _by_tap(subject, comparison.t)
    chosen = {}
    for tap, mask in region.units(subject).items():
        free, n_units = _outside(region, tap, mask)
        order = np.argsort(np.abs(np.nan_to_num(t[tap][free])), kind="stable")
        chosen[tap] = _mask(len(mask), free[order[:n_units]])
    return Mask(LEAST_SELECTIVE, chosen)


def matched(subject: Subject, region: Region, comparison: Comparison, activity: Activity) -> Mask:
    """Return as many units of the same taps outside of the region, matched in mean activation and in selectivity.

    Each unit of the region gets one other unit. The sum of their squared differences is as small as it can be. The
    differences are those of the mean activation and of t, each divided by its standard deviation over the tap.

    Args:
        subject: The subject.
        region: The region.
        comparison: The comparison whose t is the selectivity, of responses of this subject.
        activity: The activity of the units, from `unit_activity`.

    Raises:
        UserError: A tap has too few units outside of the region.
    """
    t = _by_tap(subject, comparison.t)
    chosen = {}
    for tap, mask in region.units(subject).items():
        free, _ = _outside(region, tap, mask)
        features = np.stack([activity.mean[tap], np.nan_to_num(t[tap])], axis=1)
        spread = features.std(axis=0)
        features = features / np.where(spread > 0, spread, 1.0)
        cost = ((features[mask][:, None] - features[free][None]) ** 2).sum(axis=-1)
        chosen[tap] = _mask(len(mask), free[linear_sum_assignment(cost)[1]])
    return Mask(MATCHED, chosen)


def other_network(subject: Subject, region: Region, localizer: xr.Dataset) -> Mask:
    """Return as many units of another localizer: those with its largest t, of all taps, outside of the region.

    Args:
        subject: The subject.
        region: The region.
        localizer: The other localizer, from `localize` or `load_localizer`.

    Raises:
        UserError: The localizer is of another model.
    """
    check_type("localizer", localizer, xr.Dataset, "what toposheet.localize returns")
    Mask.of(localizer).units(subject)  # this refuses a localizer of another model
    inside, n_units = region.units(subject), count_units(region.units(subject))
    t = _by_tap(subject, localizer["t"])
    free = {tap: ~inside.get(tap, np.zeros(len(of_tap), dtype=bool)) for tap, of_tap in t.items()}
    values = np.concatenate(
        [np.where(free[tap], np.nan_to_num(of_tap, nan=-np.inf), -np.inf) for tap, of_tap in t.items()]
    )
    mask = _mask(len(values), np.argsort(-values, kind="stable")[:n_units])
    ends = np.cumsum([len(of_tap) for of_tap in t.values()])[:-1]
    return Mask(
        f"{OTHER_NETWORK}: {localizer.attrs.get('contrast', '')}", dict(zip(t, np.split(mask, ends), strict=True))
    )


def _outside(region: Region, tap: str, mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the numbers of the units of a tap outside of a region, and the number of units of the region in it."""
    free, n_units = np.flatnonzero(~mask), int(mask.sum())
    if len(free) < n_units:
        raise UserError(
            f"{region.name} has {n_units} units of {tap}, which has only {counted(len(free), 'other unit')}: there are "
            "not as many units outside of the region"
        )
    return free, n_units


def _mask(n_units: int, chosen: np.ndarray) -> np.ndarray:
    mask = np.zeros(n_units, dtype=bool)
    mask[chosen] = True
    return mask


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
