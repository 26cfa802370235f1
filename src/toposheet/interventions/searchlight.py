"""The searchlight: a lesion or a stimulation of a disc at every place of the sheets, and the map of what changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from toposheet.errors import UserError, check_type
from toposheet.interventions.acts import Act, Target, activity_for, check_act
from toposheet.interventions.controls import SCATTERED
from toposheet.interventions.effects import EFFECTS, check_measure, effects_of
from toposheet.interventions.lesions import LESION
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Disc, sheet_of
from toposheet.interventions.stimulation import Stimulation
from toposheet.progress import Progress
from toposheet.results import Kind, Table
from toposheet.settings import READING, Reading, check_count, check_length
from toposheet.sheet import Sheet
from toposheet.stats.multiplicity import Alternative
from toposheet.subject import Subject
from toposheet.subject.log_probabilities import BATCH_SIZE

_PLACE: dict[str, Kind] = {"sheet": "text", "y": "number", "x": "number", "radius_mm": "number"}
_TEST = ("null_mean", "null_sd", "z", "p", "p_corrected")
_LEFT_OUT = ("region", "control", "difference", "difference_low", "difference_high")
_COLUMNS: dict[str, Kind] = {**EFFECTS.columns, **_PLACE}

SEARCHLIGHT = Table(
    "searchlight.csv",
    {name: kind for name, kind in _COLUMNS.items() if name not in _LEFT_OUT},
    "the effect of acting on a disc of a sheet, and the null of as many units scattered over the same taps",
)
DOSES = Table(
    "dose_curve.csv",
    {**SEARCHLIGHT.columns, "strength": "number"},
    "the effect of acting on a disc with one radius and one strength, and the null of as many scattered units",
)


def searchlight(
    subject: Subject,
    measure: Measure,
    *,
    radius_mm: float | int = 3.0,
    step_mm: float | int | None = None,
    sheets: Sequence[str] | None = None,
    act: Act = LESION,
    alternative: Alternative | None = None,
    draws: int = 39,
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how much a lesion or a stimulation of a disc changes a measure, for discs all over the sheets.

    The null is the same searchlight with the places of units exchanged within each tap: in each draw, each disc acts on
    as many scattered units of the same taps. `p_corrected` compares each disc with the largest effect of all discs and
    parts in each draw (maximum statistic, see `familywise_p`). So one disc with a small `p_corrected` shows that its
    units matter more than as many units of these taps usually do. Discs with as many units of the same taps have the
    same null, and are standardised together. All draws together take `draws` times as long as the map itself.

    Args:
        subject: The subject.
        measure: What is measured, for example `toposheet.task_measure(subject, "blimp")`, whose parts are the fields.
        radius_mm: Radius of the discs, in mm.
        step_mm: Largest distance between the centres of neighbouring discs, in mm. The centres are a regular grid that
            fills the sheet. None: radius_mm * sqrt(2), with which each unit is in some disc.
        sheets: Names of the sheets. None: all of them.
        act: What is done to the discs: `Lesion(to)` or `Stimulation(strength)`.
        alternative: See `intervention_effects`.
        draws: Number of draws of the null. With 39 draws the smallest p is 0.025. 0: no null, and no p.
        texts: Texts for the activity of units, see `unit_activity`. A lesion to zero does not need them.
        reading: How these texts are read.
        seed: Seed of the draws.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results, so that an interrupted call goes on. None: nothing is stored.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        A row for each part of the measure and each disc: sheet, centre (`y, x`, in cells), radius, number of units,
        the measure of the intact subject and after the intervention, their difference `change` with its 95 % interval
        over items, and the comparison with the null.

    Raises:
        UserError: A sheet is unknown, a radius or step is not a positive number, or no disc has a unit. Or the model
            computes numbers that are not finite.

    Example:
        table = ts.searchlight(subject, ts.task_measure(subject, "blimp", limit=8), radius_mm=3)
    """
    check_measure(measure)
    check_length("radius_mm", radius_mm)
    step_mm = radius_mm * math.sqrt(2) if step_mm is None else step_mm
    check_length("step_mm", step_mm)
    if draws:
        check_count("draws", draws, 2, " (or 0, for a map without a test)")
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    topography = subject.topography
    if sheets is not None:
        check_type("sheets", sheets, (list, tuple), "a list of names of sheets")
    discs = []
    for name in topography.sheets if sheets is None else dict.fromkeys(sheets):
        centres = _centres(sheet_of(topography, name), step_mm)
        discs += [disc for y, x in centres if not (disc := Disc(name, y, x, radius_mm)).is_empty(subject)]
    if not discs:
        raise UserError("no disc has a unit: give a larger radius, or at least one sheet")
    check_act(act)
    activity = activity_for([act], subject, texts, reading, progress)
    targets = [Target.of(subject, disc, act, activity) for disc in discs]
    effects = effects_of(
        targets, measure, alternative, draws=draws, seed=seed, batch_size=batch_size, cache=cache,
        progress=progress,
    )  # fmt: skip
    return SEARCHLIGHT.frame(_with_places(effects, discs, measure))


def dose_curve(
    subject: Subject,
    measure: Measure,
    sheet: str,
    y: float | int,
    x: float | int,
    *,
    radii_mm: Sequence[float | int] = (1.0, 2.0, 3.0, 4.0, 5.0),
    acts: Sequence[Act] = (LESION,),
    alternative: Alternative | None = None,
    draws: int = 99,
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how the effect of acting on a place grows with the dose: with the radius, and the strength of stimulation.

    The null of each dose acts on as many scattered units of the same taps. In each draw, scattered units of a smaller
    dose are among those of a larger dose, as they are in the discs.

    Args:
        subject: The subject.
        measure: What is measured.
        sheet: Name of the sheet.
        y: Row of the centre, in cells.
        x: Column of the centre, in cells.
        radii_mm: The radii, in mm.
        acts: What is done to the discs, each act with each radius: for example a `Stimulation` for each strength.
        alternative: See `intervention_effects`.
        draws: Number of draws of the null.
        texts: Texts for the activity of units, see `unit_activity`. A lesion to zero does not need them.
        reading: How these texts are read.
        seed: Seed of the draws.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for parts of the results, so that an interrupted call goes on. None: nothing is stored.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        The columns of `searchlight`, and `strength` (nan for a lesion). `p_corrected` corrects for all doses and parts.

    Raises:
        UserError: As for `searchlight`, or there is no dose.

    Example:
        curve = ts.dose_curve(subject, measure, "model.layers.2.mlp", 8, 8, radii_mm=[1, 2, 3, 4])
    """
    check_measure(measure)
    check_count("draws", draws, 2)
    check_type("radii_mm", radii_mm, (list, tuple), "a list of radii in mm")
    check_type("acts", acts, (list, tuple), "a list of acts, such as [toposheet.Stimulation(2)]")
    for act in acts:
        check_act(act)
    discs = [Disc(sheet, y, x, radius) for radius in radii_mm]
    for disc in discs:
        disc.units(subject)
    doses = [(disc, act) for disc in discs for act in acts]
    if not doses:
        raise UserError("there is no dose: give at least one radius, and at least one act")
    activity = activity_for(acts, subject, texts, reading, progress)
    targets = [Target.of(subject, disc, act, activity) for disc, act in doses]
    effects = effects_of(
        targets, measure, alternative, draws=draws, seed=seed, batch_size=batch_size, cache=cache,
        progress=progress,
    )  # fmt: skip
    rows = _with_places(effects, [disc for disc, _ in doses], measure)
    strengths = [act.strength if isinstance(act, Stimulation) else np.nan for _, act in doses]
    return DOSES.frame(rows.assign(strength=np.tile(strengths, len(measure.items))))


def _centres(sheet: Sheet, step_mm: float | int) -> list[tuple[float, float]]:
    """Return the centres of discs, in cells: a regular grid that fills a sheet, with steps of at most a length."""
    numbers = [max(1, math.ceil(cells * sheet.spacing_mm / step_mm - 1e-9)) for cells in sheet.shape]
    rows, columns = ((np.arange(n) + 0.5) * cells / n - 0.5 for n, cells in zip(numbers, sheet.shape, strict=True))
    return [(float(y), float(x)) for y in rows for x in columns]


def _with_places(effects: pd.DataFrame, discs: Sequence[Disc], measure: Measure) -> pd.DataFrame:
    """Return a row for each part and disc: the effect, its null and its place.

    Args:
        effects: The table of `effects_of`, for these discs in this order.
        discs: The discs.
        measure: What was measured.
    """
    number = {part: number for number, part in enumerate(measure.items)}
    effects = effects.sort_values("part", kind="stable", key=lambda parts: parts.map(number))
    rows = effects[effects["control"] == ""].drop(columns=list(_LEFT_OUT)).assign(draws=0).reset_index(drop=True)
    null = effects[effects["control"] == SCATTERED]
    if len(null):
        rows[["draws", *_TEST]] = null[["draws", *_TEST]].to_numpy()
    return rows.assign(**{name: [getattr(disc, name) for disc in discs] * len(number) for name in _PLACE})
