"""`toposheet dose`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._interventions import BLIMP, Task, To, act_of, prepare, show
from toposheet.commands._stimuli import AS_USUAL, Model, Options
from toposheet.settings import READING, Reading, check_count


@deferred
def dose(
    model: Model,
    out: Path,
    sheet: str,
    row: float,
    column: float,
    task: Task = BLIMP,
    radius_mm: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0),
    strength: tuple[float, ...] = (),
    to: To = "zero",
    draws: int = 99,
    stimuli: str | None = None,
    reading: Reading = READING,
    options: Options = AS_USUAL,
    seed: int = 0,
) -> None:
    """Lesion or stimulate a place with growing doses, and draw the curve of what it does to a task.

    The dose is the radius of the disc and, for a stimulation, its strength. The null of each dose acts on as many
    scattered units of the same taps. An interrupted command continues.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for dose_curve.csv and a figure.
        sheet: Name of the sheet.
        row: Row of the centre, in cells.
        column: Column of the centre, in cells.
        task: The task that is measured.
        radius_mm: The radii, in mm.
        strength: The strengths of a stimulation, in standard deviations of each unit. None given: the place is
            lesioned.
        to: What lesioned units put out. zero: nothing. mean: always their mean. noise: noise with their variance.
        draws: Number of draws of scattered units. With 99 draws the smallest p is 0.01.
        stimuli: The stimuli over whose sentences (or over all, if there are none) means and standard deviations are
            computed: a CSV file, or the name of a set. None: the stimuli that are saved with the model.
        reading: How the model reads the stimuli. A bos that is given also stands before every text of the task.
        options: How stimuli are read.
        seed: Seed of the random draws.
    """
    check_count("draws", draws, 2)
    task.check()
    check_out(out)
    acts = [act_of(to, one, seed) for one in strength or [None]]
    from toposheet.progress import shown

    with shown() as progress:
        from toposheet.cache import cache_folder
        from toposheet.interventions import Disc, dose_curve
        from toposheet.interventions.outcomes import DoseOutcome

        prepared = prepare(
            model, task, acts, reading, stimuli, options, progress,
            checked=lambda subject: [Disc(sheet, row, column, radius).units(subject) for radius in radius_mm],
        )  # fmt: skip
        table = dose_curve(
            prepared.subject, prepared.measure, sheet, row, column, radii_mm=radius_mm, acts=acts, draws=draws,
            texts=prepared.texts, reading=reading, seed=seed, cache=cache_folder(), progress=progress,
        )  # fmt: skip
        facts = {"sheet": sheet, "row": row, "column": column, "radii_mm": list(radius_mm), "draws": draws,
                 "seed": seed}  # fmt: skip
        outcome = DoseOutcome(table, prepared.facts | facts)
        outcome.write(out)
    show(outcome, "dose curve", out)


COMMAND = Command(position=70, parser=dose, goes_on=True)
