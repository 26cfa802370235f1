"""The effects of interventions on behaviour, beside those of the same interventions on control regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from toposheet.interventions.activity import unit_activity
from toposheet.interventions.acts import Act, Target, Weights, activity_for, check_act
from toposheet.interventions.controls import ELSEWHERE, SCATTERED
from toposheet.interventions.lesions import LESION
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Region, check_region
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
        "model": "text", "measure": "text", "unit": "text", "part": "text", "region": "text", "act": "text",
        "control": "text", "n_units": "count", "draws": "count", "intact": "number", "after": "number",
        "change": "number", "change_low": "number", "change_high": "number", "difference": "number",
        "difference_low": "number", "difference_high": "number", "alternative": "text", "null_mean": "number",
        "null_sd": "number", "z": "number", "p": "number", "p_corrected": "number",
    },
    "the effect of an intervention on a region, or on the control regions of one kind",
)  # fmt: skip


def intervention_effects(
    subject: Subject,
    regions: Region | Sequence[Region],
    measure: Measure,
    *,
    act: Act = LESION,
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
    so those are controls of their own (`least selective` and `matched` need a comparison). If near units do alike
    things, many compact regions do more than scattered units, so compact regions at other places stand beside the
    region too (`elsewhere`). They have no p: places that overlap with the region are left out, so the region is not one
    of the places that can be drawn. `other network` needs other localizers. A control is left out if there are not as
    many units outside of the region as inside, as for a whole sheet.

    Args:
        subject: The subject.
        regions: The regions.
        measure: What is measured, for example `Measure.pairs(...)`.
        act: What is done to the regions: `Lesion(to)` or `Stimulation(strength)`.
        alternative: What p is the probability of. `less`: a change at least as far down as that of the region.
            `greater`: at least as far up. `two-sided`: at least as far from the mean of the draws. None: `less` for a
            lesion, `two-sided` for a stimulation.
        draws: Number of scattered regions, and of regions elsewhere. With 99 draws the smallest p is 0.01.
        comparison: A comparison of responses of this subject, whose t is the selectivity of units. None: there are no
            least selective and no matched units.
        networks: Other localizers. Each gives as many units as the region has.
        texts: Texts for the activity of units, see `unit_activity`. They are needed for matched units, and for all acts
            but a lesion to zero.
        reading: How these texts are read.
        seed: Seed of the draws.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results, so that an interrupted call goes on. None: nothing is stored.
        progress: A function that is called with the progress. None: no calls.

    Returns:
        For each part of the measure (`Measure.parts`; the first is `all`), a row for each region (`control` is empty),
        and a row for each kind of control. `change` is the measure after the intervention minus that of the intact
        subject, averaged over draws, with its 95 % interval over items. `difference` is the change by the region minus
        that by the controls, with its interval. The row of scattered units has the test: `null_mean` and `null_sd` of
        the changes by the draws, and `z`, the change by the region minus this mean, divided by this standard deviation.
        `p` is the probability that `alternative` names, (1 + b) / (1 + B), and `p_corrected` corrects it for the number
        of regions and parts (maximum statistic, see `familywise_p`).

    Raises:
        UserError: The subject does not have a region, or two regions have the same name. Or the model computes numbers
            that are not finite.
    """
    regions = [regions] if isinstance(regions, Region) else regions
    check_type("regions", regions, (list, tuple), "a region such as toposheet.Disc(...), or a list of regions")
    for region in regions:
        check_region(region)
        region.units(subject)  # an unknown region is refused before texts are read
    if not regions:
        raise UserError("there are no regions: give at least one")
    names = [region.name for region in regions]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(
            f"two regions are called {twice[0]!r}: leave one of them out or, in Python, give it another label "
            "(Mask.of(mask, label))"
        )
    if comparison is not None:
        check_comparison(comparison)
    check_measure(measure)
    check_count("draws", draws, 2)
    check_act(act)
    if comparison is None:
        activity = activity_for([act], subject, texts, reading, progress)
    else:
        activity = unit_activity(subject, texts, reading=reading, progress=progress)
    targets = [Target.of(subject, region, act, activity) for region in regions]
    others = [_other_units(target, draws, seed + number, comparison, networks)
              for number, target in enumerate(targets)]  # fmt: skip
    return effects_of(
        targets, measure, alternative, others, draws=draws, seed=seed, batch_size=batch_size, cache=cache,
        progress=progress,
    )  # fmt: skip


def _other_units(
    target: Target,
    draws: int,
    seed: int,
    comparison: Comparison | None,
    networks: Sequence[xr.Dataset],
) -> dict[str, Sequence[Weights]]:
    """Return the controls of a target but the scattered units: {kind: their weights}. See `intervention_effects`."""
    makers: dict[str, Callable[[], Sequence[Weights]]] = {ELSEWHERE: lambda: controls.elsewhere(target, draws, seed)}
    if comparison is not None:
        makers[controls.LEAST_SELECTIVE] = lambda: [controls.least_selective(target, comparison)]
        makers[controls.MATCHED] = lambda: [controls.matched(target, comparison)]
    names = [controls.name_of_other(network) for network in networks]
    for number, network in enumerate(networks):
        again = names[:number].count(names[number])
        name = f"{names[number]} ({again + 1})" if again else names[number]
        makers[name] = lambda network=network: [controls.other_network(target, network)]
    made = {}
    for kind, make in makers.items():
        with suppress(controls.TooFewUnits):
            made[kind] = make()
    return made


def check_measure(measure: Measure) -> None:
    """Refuse what is no measure."""
    check_type("measure", measure, Measure, "a toposheet.Measure, such as Measure.pairs(subject, good, bad)")


def effects_of(
    targets: Sequence[Target],
    measure: Measure,
    alternative: Alternative | None,
    others: Sequence[Mapping[str, Sequence[Weights]]] | None = None,
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
        targets: The regions with what is done to them, at least one, all of the same subject.
        measure: What is measured.
        alternative: See `intervention_effects`.
        others: The controls of each target but the scattered units: {kind: their weights}. None: there are none.
        draws: Number of draws of scattered units. 0: none, and nothing is tested.
        seed: Seed of these draws.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results. None: nothing is stored.
        progress: A function that is called with the progress. None: no calls.
    """
    if alternative is not None:
        check_choice("alternative", alternative, get_args(Alternative))
    side: Alternative = alternative or targets[0].act.alternative
    if alternative is None and any(target.act.alternative != side for target in targets):
        side = "two-sided"
    for target in targets:
        target.intervention()  # what cannot be done is refused before all computations
    subject = targets[0].subject
    orders = controls.orders(subject, draws, seed)
    variants = [
        _Variant((number, kind), target, weights, order)
        for number, (target, other) in enumerate(zip(targets, others or [{}] * len(targets), strict=True))
        for kind, weights, order in [
            ("", target.weights, None),
            *((SCATTERED, target.weights, order) for order in orders),
            *((kind, weights, None) for kind, of_kind in other.items() for weights in of_kind),
        ]
    ]
    changes = _changes(subject, variants, measure, batch_size, None if cache is None else path_of(cache), progress)
    intact = measure.means(changes.intact)
    rows = []
    for (number, kind), of_items in changes.of_items.items():
        target = targets[number]
        change, interval = measure.means(of_items), measure.intervals(of_items)
        focal = changes.of_items[number, ""]
        difference, difference_interval = measure.means(focal - of_items), measure.intervals(focal - of_items)
        for part, name in enumerate(measure.items):
            row = {"model": subject.name, "measure": measure.name, "unit": measure.unit, "part": name}
            row |= {"region": target.region, "act": target.act.name, "control": kind}
            row |= {"n_units": int(sum(mask.sum() for mask in target.units.values()))}
            row |= {"draws": len(changes.means[number, kind]), "alternative": side}
            row |= {"intact": intact[part], "after": intact[part] + change[part], "change": change[part]}
            row |= {"change_low": interval[part, 0], "change_high": interval[part, 1]}
            if kind:
                low, high = difference_interval[part]
                row |= {"difference": difference[part], "difference_low": low, "difference_high": high}
            rows.append(row)
    frame = EFFECTS.frame(rows)
    if draws:
        tests = [np.concatenate([changes.means[n, ""], changes.means[n, SCATTERED]]) for n in range(len(targets))]
        values = np.stack(tests, axis=1).reshape(1 + draws, -1)  # the first row is observed; regions, then parts
        keys, n_parts = [target.exchangeable() for target in targets], len(measure.items)
        alike = np.array([keys.index(key) for key in keys])[:, None] * n_parts + np.arange(n_parts)
        null = against_null(values[0], values[1:])
        columns = {"null_mean": null.mean, "null_sd": null.sd, "z": null.z}
        columns["p"] = np.concatenate([familywise_p(values[:, [n]], side) for n in range(values.shape[1])])
        columns["p_corrected"] = familywise_p(values, side, alike.ravel())
        frame.loc[frame["control"] == SCATTERED, list(columns)] = np.stack(list(columns.values()), axis=1)
    return frame


@dataclass(frozen=True, eq=False)
class _Variant:
    """An intervention: on a region, or on one of its control regions.

    Args:
        key: The number of the region, and the kind of the control region.
        target: The region with what is done to it.
        weights: How strongly each unit is acted on.
        order: The draw that scatters them. None: they stay.
    """

    key: tuple[int, str]
    target: Target
    weights: Weights
    order: controls.Order | None

    def intervention(self) -> Intervention:
        """Return the intervention. The weights of scattered units exist only from here on."""
        weights = self.weights if self.order is None else controls.scattered(self.weights, self.order)
        _, kind = self.key
        return self.target.intervention(weights, kind)


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
        return self._variants[at].intervention()


@dataclass(frozen=True, eq=False)
class _Changes:
    """The changes of a measure by variants.

    Args:
        intact: The value of each item of the intact subject.
        of_items: The change of each item, averaged over the variants with the same key: {key: (items)}.
        means: The mean change of each part by each variant with a key: {key: (variants, parts)}.
    """

    intact: Float[np.ndarray, " items"]
    of_items: Mapping[tuple[int, str], Float[np.ndarray, " items"]]
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
    totals: dict[tuple[int, str], np.ndarray] = {}
    means: dict[tuple[int, str], list[np.ndarray]] = {}
    for variant, of_spans in zip(variants, sums, strict=True):
        change = measure.value(of_spans) - intact
        totals[variant.key] = totals.get(variant.key, 0) + change
        means.setdefault(variant.key, []).append(measure.means(change))
    averages = {key: total / len(means[key]) for key, total in totals.items()}
    return _Changes(intact, averages, {key: np.stack(of_key) for key, of_key in means.items()})
