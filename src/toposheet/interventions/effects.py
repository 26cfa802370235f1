"""The effects of interventions on behaviour, beside those of the same interventions on control regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, overload

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from toposheet.cortex import Comparison
from toposheet.cortex.comparison import check_comparison
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.interventions import controls
from toposheet.interventions.acts import Act, Weights, acts_of
from toposheet.interventions.controls import ELSEWHERE, SCATTERED
from toposheet.interventions.lesions import To
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Region
from toposheet.interventions.scoring import sums_with
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import READING, Reading, check_choice, check_count
from toposheet.stats import against_null, familywise_p
from toposheet.stats.multiplicity import Alternative
from toposheet.subject import Intervention, Subject
from toposheet.subject.log_probabilities import BATCH_SIZE

EFFECTS = Table(
    "effects.csv",
    {
        "model": "text", "measure": "text", "part": "text", "region": "text", "act": "text", "control": "text",
        "n_units": "count", "draws": "count", "intact": "number", "after": "number", "change": "number",
        "change_low": "number", "change_high": "number", "difference": "number", "difference_low": "number",
        "difference_high": "number", "null_mean": "number", "null_sd": "number", "z": "number", "p": "number",
        "p_corrected": "number",
    },
    "the effect of an intervention on a region, or on the control regions of one kind",
)  # fmt: skip


def intervention_effects(
    subject: Subject,
    regions: Region | Sequence[Region],
    measure: Measure,
    *,
    to: To = "zero",
    strength: float | int | None = None,
    alternative: Alternative | None = None,
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
    """Return how much a lesion or a stimulation of each region changes a measure, beside those of control regions.

    A region matters as a *place* only if acting on it does more than acting on as many units at random places of the
    same taps (`scattered`), which is tested here. The test asks whether this set of units is special among all sets of
    as many units. It does not say why: units of a region may also be special because of their activity or selectivity,
    so those are controls of their own. `elsewhere`: compact regions at other places. `least selective` and `matched`
    need a comparison, `other network` needs other localizers.

    Args:
        subject: The subject.
        regions: The regions.
        measure: What is measured, for example `Measure.pairs(...)`.
        to: What lesioned units put out, see `lesion`.
        strength: The strength of a stimulation, see `stimulate`. None: the regions are lesioned.
        alternative: What p is the probability of. `less`: a change at least as far down as that of the region.
            `greater`: at least as far up. `two-sided`: at least as far from the mean of the draws. None: `less` for a
            lesion, `two-sided` for a stimulation.
        draws: Number of scattered regions, and of regions elsewhere. With 99 draws the smallest p is 0.01.
        comparison: A comparison of responses of this subject, whose t is the selectivity of units. None: there are no
            least selective and no matched units.
        networks: Other localizers. Each gives as many units as the region has.
        texts: Texts for the activity of units, see `unit_activity`. They are needed for a stimulation, for `to="mean"`,
            for `to="noise"`, and for matched units.
        reading: How these texts are read.
        seed: Seed of the draws and of the noise.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results, so that an interrupted call goes on. None: nothing is stored.
        progress: A function that is called with the progress. None: no calls.

    Returns:
        For each part of the measure (`Measure.parts`; the first is `all`), a row for each region (`control` is empty),
        and a row for each kind of control. `change` is the measure after the intervention minus that of the intact
        subject, averaged over draws, with its 95 % interval over items. `difference` is the change by the region minus
        that by the controls, with its interval. `null_mean`, `null_sd`, `z` and `p` compare the change by the region
        with those by the draws. `p_corrected` corrects p for the number of regions and parts (maximum statistic).

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
    check_measure(measure)
    check_count("draws", draws, 2)
    (act,) = acts_of(
        subject, to, [strength], texts=texts, reading=reading, seed=seed, with_activity=comparison is not None
    )
    all_acted = []
    for number, region in enumerate(regions):
        acted = Acted(region.name, act, act.weights(subject, region))
        name, weights = acted.region, acted.weights
        acted.controls[ELSEWHERE] = controls.elsewhere(subject, name, weights, draws, seed + number)
        if comparison is not None:
            assert act.activity is not None
            least = controls.least_selective(subject, name, weights, comparison)
            acted.controls[controls.LEAST_SELECTIVE] = [least]
            matched = controls.matched(subject, name, weights, comparison, act.activity)
            acted.controls[controls.MATCHED] = [matched]
        for network in networks:
            acted.controls[controls.name_of_other(network)] = [controls.other_network(subject, weights, network)]
        all_acted.append(acted)
    return effects_of(
        subject, all_acted, measure, alternative, draws=draws, seed=seed, batch_size=batch_size, cache=cache,
        progress=progress,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Acted:
    """A region with what is done to it.

    Args:
        region: Name of the region.
        act: What is done to it.
        weights: How strongly each unit is acted on.
        controls: Control regions by kind, beside the scattered ones: {kind: their weights}.
    """

    region: str
    act: Act
    weights: Weights
    controls: dict[str, list[Weights]] = field(default_factory=dict)

    def exchangeable(self) -> tuple[object, ...]:
        """Return a key that two regions share if their scattered units are drawn from the same sets."""
        return self.act.strength, *((tap, np.sort(of_tap).tobytes()) for tap, of_tap in sorted(self.weights.items()))


def check_measure(measure: Measure) -> None:
    """Refuse what is no measure."""
    check_type("measure", measure, Measure, "a toposheet.Measure, such as Measure.pairs(subject, good, bad)")


def effects_of(
    subject: Subject,
    all_acted: Sequence[Acted],
    measure: Measure,
    alternative: Alternative | None,
    *,
    draws: int,
    seed: int,
    batch_size: int,
    cache: str | Path | None,
    progress: Progress | None,
) -> pd.DataFrame:
    """Return the table of the effects of what is done to regions, to scattered units, and to other controls.

    The scattered units of all regions are drawn together, so that the largest effect of each draw can be compared with
    that of each region. Regions whose units are drawn from the same sets share the mean and the standard deviation with
    which effects are standardised.

    Args:
        subject: The subject.
        all_acted: The regions with what is done to them, and with their controls but the scattered ones.
        measure: What is measured.
        alternative: See `intervention_effects`.
        draws: Number of draws of scattered units. 0: none, and nothing is tested.
        seed: Seed of these draws.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results. None: nothing is stored.
        progress: A function that is called with the progress. None: no calls.
    """
    if alternative is None:
        alternative = "less" if all(acted.act.strength is None for acted in all_acted) else "two-sided"
    check_choice("alternative", alternative, get_args(Alternative))
    for acted in all_acted:
        acted.act.intervention(acted.region, acted.weights)  # what cannot be done is refused before all computations
    moved = controls.scattered(subject, [acted.weights for acted in all_acted], draws, seed) if draws else []
    by_kind = [
        {"": [acted.weights]} | ({SCATTERED: moved[number]} if draws else {}) | acted.controls
        for number, acted in enumerate(all_acted)
    ]
    variants = [
        _Variant((number, kind), acted.region if not kind else f"{acted.region}, {kind}", acted.act, weights)
        for number, acted in enumerate(all_acted)
        for kind, of_kind in by_kind[number].items()
        for weights in of_kind
    ]
    changes = _changes(subject, variants, measure, batch_size, None if cache is None else path_of(cache), progress)
    intact = measure.means(changes.intact)
    rows = []
    for (number, kind), of_items in changes.items.items():
        acted = all_acted[number]
        change, interval = measure.means(of_items), measure.intervals(of_items)
        focal = changes.items[number, ""]
        difference, difference_interval = measure.means(focal - of_items), measure.intervals(focal - of_items)
        for part, name in enumerate(measure.items):
            row = {"model": subject.name, "measure": measure.name, "part": name, "region": acted.region}
            row |= {"act": acted.act.name, "control": kind, "draws": len(by_kind[number][kind])}
            row |= {"n_units": int(sum(controls.core(of_tap).sum() for of_tap in acted.weights.values()))}
            row |= {"intact": intact[part], "after": intact[part] + change[part], "change": change[part]}
            row |= {"change_low": interval[part, 0], "change_high": interval[part, 1]}
            if kind:
                low, high = difference_interval[part]
                row |= {"difference": difference[part], "difference_low": low, "difference_high": high}
            rows.append(row)
    frame = EFFECTS.frame(rows)
    for kind in (SCATTERED, ELSEWHERE):
        tested = [number for number in range(len(all_acted)) if len(by_kind[number].get(kind, [])) > 1]
        if not tested:
            continue
        values = np.stack([np.concatenate([changes.means[n, ""], changes.means[n, kind]]) for n in tested], axis=1)
        keys = [all_acted[n].exchangeable() if kind == SCATTERED else n for n in tested]
        alike = np.array([keys.index(key) for key in keys])[:, None] * len(measure.items) + np.arange(
            len(measure.items)
        )
        flat = values.reshape(len(values), -1)
        null = against_null(flat[0], flat[1:])
        columns = {"null_mean": null.mean, "null_sd": null.sd, "z": null.z}
        columns["p"] = np.concatenate([familywise_p(flat[:, [test]], alternative) for test in range(flat.shape[1])])
        columns["p_corrected"] = familywise_p(flat, alternative, alike.ravel())
        frame.loc[frame["control"] == kind, list(columns)] = np.stack(list(columns.values()), axis=1)
    return frame


@dataclass(frozen=True, eq=False)
class _Variant:
    """An intervention: on a region, or on one of its control regions."""

    key: tuple[int, str]
    name: str
    act: Act
    weights: Weights


class _Interventions(Sequence[Intervention]):
    """The interventions of variants. Each is made when it is needed, so that many of them need little memory."""

    def __init__(self, variants: Sequence[_Variant]) -> None:
        self._variants = variants

    def __len__(self) -> int:
        return len(self._variants)

    @overload
    def __getitem__(self, at: int) -> Intervention: ...

    @overload
    def __getitem__(self, at: slice) -> list[Intervention]: ...

    def __getitem__(self, at: int | slice) -> Intervention | list[Intervention]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        variant = self._variants[at]
        return variant.act.intervention(variant.name, variant.weights)


@dataclass(frozen=True, eq=False)
class _Changes:
    """The changes of a measure by variants.

    Args:
        intact: The value of each item of the intact subject.
        items: The change of each item, averaged over the variants with the same key: {key: (items)}.
        means: The mean change of each part by each variant with a key: {key: (variants, parts)}.
    """

    intact: Float[np.ndarray, " items"]
    items: Mapping[tuple[int, str], Float[np.ndarray, " items"]]
    means: Mapping[tuple[int, str], Float[np.ndarray, "variants parts"]]


def _changes(
    subject: Subject,
    variants: Sequence[_Variant],
    measure: Measure,
    batch_size: int,
    cache: Path | None,
    progress: Progress | None,
) -> _Changes:
    """Return how much each variant changes a measure."""
    sums = sums_with(
        subject, _Interventions(variants), measure.requests, batch_size=batch_size, cache=cache,
        progress=progress or SILENT,
    )  # fmt: skip
    intact = measure.value(next(sums))
    items: dict[tuple[int, str], np.ndarray] = {}
    means: dict[tuple[int, str], list[np.ndarray]] = {}
    for variant, of_spans in zip(variants, sums, strict=True):
        change = measure.value(of_spans) - intact
        items[variant.key] = items.get(variant.key, 0) + change
        means.setdefault(variant.key, []).append(measure.means(change))
    averages = {key: total / len(means[key]) for key, total in items.items()}
    return _Changes(intact, averages, {key: np.stack(of_key) for key, of_key in means.items()})
