"""The number of draws of the nulls of a report: of the whole analysis, and of each contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb
from typing import Any

from toposheet.cortex.design import Design, contrast_design
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.cortex.verdicts import draws_for
from toposheet.report.models import StudiedModel
from toposheet.settings import MANY_PERMUTATIONS, PERMUTATIONS, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study
from toposheet.wording import counted

_SECONDS_OF_A_DRAW = 1e-8  # of one unit and item, in all nulls of a map; measured on one core
_AFFORDABLE = 60.0  # seconds


def with_draws(settings: Settings, models: Sequence[StudiedModel], battery: Battery) -> Settings:
    """Return the settings with the number of draws of the analysis. If none is given, it is chosen here.

    There are 999 draws if they take less than a minute, otherwise 99. With more than 5 contrasts 99 are too few, and
    there are as many as a p needs that is corrected for the number of contrasts. The sizes alone decide, so the same
    analysis has the same draws on every machine. A contrast with fewer different relabellings has fewer draws
    (`draws_of_contrast`). If this is true of all contrasts, the analysis has as many draws as they allow at most.
    """
    if settings.permutations is not None:
        return settings
    designs = [design_of(study, contrast, settings) for study in battery.studies for contrast in study.contrasts]
    maps = len(models) * len(settings.readouts) * (1 + len(NEGATIVE_CONTROLS) * settings.negative_controls)
    values = max(map(n_units, models), default=0) * maps * sum(design.n_items for design in designs)
    many = _SECONDS_OF_A_DRAW * MANY_PERMUTATIONS * values < _AFFORDABLE
    few = max(PERMUTATIONS, draws_for(len(designs)))
    wanted = max(MANY_PERMUTATIONS, few) if many else few
    most = max((_relabellings(design, settings) for design in designs), default=wanted)
    return replace(settings, permutations=min(wanted, most))


def n_units(model: StudiedModel) -> int:
    """Return the number of units of a model. It need not be open.

    Raises:
        NotFound: The model does not exist.
        UserError: The model has no sheets.
    """
    return sum(model.topography.widths.values())


def draws_of_contrast(study: Study, contrast: Contrast, settings: Settings) -> int:
    """Return the number of draws of a contrast: that of the analysis, but never more than different relabellings."""
    return min(settings.draws, _relabellings(design_of(study, contrast, settings), settings))


def fewer_draws(battery: Battery, settings: Settings) -> dict[str, int]:
    """Return the number of draws of each contrast that has fewer draws than the analysis: {name: number}."""
    studies = {study.name: study for study in battery.studies}
    numbers = {
        name: draws_of_contrast(studies[study], contrast, settings)
        for name, (study, contrast) in battery.contrasts().items()
    }
    return {name: number for name, number in numbers.items() if number < settings.draws}


def draws_of(facts: Mapping[str, Any], contrast: str) -> int:
    """Return the number of draws of a contrast.

    Args:
        facts: The facts of an analysis.
        contrast: The name of the contrast in tables.
    """
    return facts["fewer_draws"].get(contrast, facts["permutations"])


def fewer_draws_in_words(facts: Mapping[str, Any]) -> str:
    """Return which contrasts have fewer draws than the analysis, as a clause. Empty: all have equally many."""
    return "; ".join(
        f"{name} has only {counted(number, 'draw')} (smallest p {1 / (1 + number):.2g}), because its texts have no "
        "more different relabellings"
        for name, number in facts["fewer_draws"].items()
    )


def design_of(study: Study, contrast: Contrast, settings: Settings) -> Design:
    """Return the design of a contrast of a study."""
    return contrast_design(contrast.compared(study.stimuli), contrast, settings.groups, settings.paired_by or None)


def _relabellings(design: Design, settings: Settings) -> int:
    """Return the number of different draws of a contrast and of its negative controls.

    Negative controls of two samples of different sizes can have two samples of one size, which have fewer draws.
    """
    if design.pairs is not None or design.exchanges_labels or not settings.negative_controls:
        return design.n_relabellings
    return comb(design.n_items, design.n_items // 2)
