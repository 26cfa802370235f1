"""The effects of lesions on behaviour, beside those of control regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from toposheet.cortex import Comparison
from toposheet.cortex.comparison import check_comparison
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.interventions import controls
from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.controls import ELSEWHERE, SCATTERED
from toposheet.interventions.lesions import To, lesion_of
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Region, count_units
from toposheet.interventions.scoring import sums_with
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import READING, Reading, check_choice, check_count
from toposheet.stats import against_null, familywise_p
from toposheet.stats.intervals import mean_of_means_interval
from toposheet.subject import Subject
from toposheet.subject.log_probabilities import BATCH_SIZE

LESIONS = Table(
    "lesions.csv",
    {
        "model": "text", "measure": "text", "region": "text", "control": "text", "n_units": "count", "draws": "count",
        "intact": "number", "lesioned": "number", "drop": "number", "drop_low": "number", "drop_high": "number",
        "difference": "number", "difference_low": "number", "difference_high": "number", "null_mean": "number",
        "null_sd": "number", "z": "number", "p": "number", "p_corrected": "number",
    },
    "the effect of a lesion, and of the lesions of one kind of control region",
)  # fmt: skip


def lesion_effects(
    subject: Subject,
    regions: Region | Sequence[Region],
    measure: Measure,
    *,
    to: To = "zero",
    draws: int = 99,
    comparison: Comparison | None = None,
    networks: Sequence[xr.Dataset] = (),
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how much the lesion of each region changes a measure, beside the lesions of control regions.

    A region matters as a *place* only if its lesion does more than lesions of as many units at random places of the
    same taps (`scattered`), which is tested here. The test asks whether this set of units is special among all sets of
    as many units. It does not say why: units of a region may also be special because of their activity or selectivity,
    so those are controls of their own. `elsewhere`: compact regions at other places. `least selective` and `matched`
    need a comparison, `other network` needs other localizers.

    Args:
        subject: The subject.
        regions: The regions.
        measure: What is measured, for example `Measure.pairs(...)`.
        to: What lesioned units put out, see `lesion`.
        draws: Number of scattered regions, and of regions elsewhere. With 99 draws the smallest p is 0.01.
        comparison: A comparison of responses of this subject, whose t is the selectivity of units. None: there are no
            least selective and no matched units.
        networks: Other localizers. Each gives as many units as the region has.
        texts: Texts for the activity of units, see `unit_activity`. They are needed for `to="mean"`, `to="noise"` and
            for matched units.
        reading: How these texts are read.
        seed: Seed of the draws and of the noise.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results, so that an interrupted call goes on. None: nothing is stored.
        progress: A function that is called with the progress. None: no calls.

    Returns:
        A row for each region (`control` is empty), and a row for each kind of control. `drop` is the measure of the
        intact subject minus that of the lesioned subject, averaged over draws, with its 95 % interval over items.
        `difference` is the drop of the region minus that of the controls, with its interval. `null_mean`, `null_sd`,
        `z` and `p` compare the drop of the region with those of the draws: p is one-sided, the lesion of the region is
        at least as bad. `p_corrected` corrects p for the number of regions (maximum statistic over regions).

    Raises:
        UserError: The subject does not have a region, or a sheet has not as many other units. Or the model computes
            numbers that are not finite.
    """
    regions = [regions] if isinstance(regions, Region) else regions
    check_type("regions", regions, (list, tuple), "a region such as toposheet.Disc(...), or a list of regions")
    for region in regions:
        check_type("a region", region, Region, "a region such as toposheet.Disc(sheet, y, x, radius_mm)")
    if not regions:
        raise UserError("there are no regions: give at least one")
    if comparison is not None:
        check_comparison(comparison)
    check_choice("to", to, get_args(To))
    check_type("measure", measure, Measure, "a toposheet.Measure, such as Measure.pairs(subject, good, bad)")
    check_count("draws", draws, 2)
    needs_activity = to != "zero" or comparison is not None
    activity = unit_activity(subject, texts, reading=reading) if needs_activity else None
    wanted: list[_Wanted] = []
    for number, region in enumerate(regions):
        kinds = _controls(subject, region, draws, comparison, networks, activity, seed + number)
        wanted.append(_Wanted(region, kinds))
    all_regions = [r for one in wanted for r in one.all]
    held_at = activity if to != "zero" else None
    interventions = [lesion_of(r.name, r.units(subject), held_at, noise=to == "noise", seed=seed) for r in all_regions]
    folder = None if cache is None else path_of(cache)
    sums = sums_with(
        subject, interventions, measure.requests, batch_size=batch_size, cache=folder, progress=progress or SILENT
    )
    intact, *rest = (measure.value(of_spans) for of_spans in sums)
    lesioned, start = np.stack(rest), 0
    rows, drops = [], {SCATTERED: [], ELSEWHERE: []}
    for one in wanted:
        by_region = intact - lesioned[start : start + len(one.all)]
        start += len(one.all)
        focal, begin = by_region[0], 1
        region = {"model": subject.name, "measure": measure.name, "region": one.region.name}
        region |= {"n_units": count_units(one.region.units(subject)), "intact": float(_mean(intact, measure))}
        rows.append(region | _drop(focal, measure) | {"draws": 1})
        for kind, of_kind in one.kinds.items():
            of_draws = by_region[begin : begin + len(of_kind)]
            begin += len(of_kind)
            difference = focal - of_draws.mean(axis=0)
            low, high = _interval(difference, measure)
            row = region | _drop(of_draws.mean(axis=0), measure) | {"control": kind, "draws": len(of_kind)}
            row |= {"difference": float(_mean(difference, measure)), "difference_low": low, "difference_high": high}
            if kind in drops:
                observed, null = float(_mean(focal, measure)), _mean(of_draws, measure)
                row |= {name: float(value) for name, value in against_null(observed, null).columns().items()}
                drops[kind].append(np.array([observed, *null]))
            rows.append(row)
    for row in rows:
        row["lesioned"] = row["intact"] - row["drop"]
    frame = LESIONS.frame(rows)
    for kind, of_regions in drops.items():
        frame.loc[frame["control"] == kind, "p_corrected"] = familywise_p(np.stack(of_regions, axis=1))
    return frame


@dataclass(frozen=True)
class _Wanted:
    """A region with its control regions: {kind: regions}."""

    region: Region
    kinds: Mapping[str, Sequence[Region]]

    @property
    def all(self) -> list[Region]:
        """The region and all its controls."""
        return [self.region, *(control for of_kind in self.kinds.values() for control in of_kind)]


def _controls(
    subject: Subject,
    region: Region,
    draws: int,
    comparison: Comparison | None,
    networks: Sequence[xr.Dataset],
    activity: Activity | None,
    seed: int,
) -> dict[str, list[Region]]:
    """Return the control regions of a region by kind."""
    kinds: dict[str, list[Region]] = {
        SCATTERED: [*controls.scattered(subject, region, draws, seed)],
        ELSEWHERE: [*controls.elsewhere(subject, region, draws, seed)],
    }
    if comparison is not None:
        assert activity is not None
        kinds[controls.LEAST_SELECTIVE] = [controls.least_selective(subject, region, comparison)]
        kinds[controls.MATCHED] = [controls.matched(subject, region, comparison, activity)]
    for network in networks:
        other = controls.other_network(subject, region, network)
        kinds[other.name] = [other]
    return kinds


def _drop(drop: Float[np.ndarray, " items"], measure: Measure) -> dict[str, float]:
    """Return the columns of a drop: its mean, and its interval."""
    low, high = _interval(drop, measure)
    return {"drop": float(_mean(drop, measure)), "drop_low": low, "drop_high": high}


def _mean(values: Float[np.ndarray, "*draws items"], measure: Measure) -> Float[np.ndarray, "*draws"]:
    """Return the mean over items; with groups, the mean over the means of groups."""
    return np.asarray(np.mean([values[..., items].mean(axis=-1) for items in measure.items_of_groups], axis=0))


def _interval(values: Float[np.ndarray, " items"], measure: Measure) -> tuple[float, float]:
    """Return the 95 % interval of the mean. It is over items: the groups are fixed, as the paradigms of BLiMP are."""
    return mean_of_means_interval([values[items] for items in measure.items_of_groups])
