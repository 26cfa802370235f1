"""`toposheet searchlight`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._interventions import BLIMP, Task, To, act_of, prepare, show
from toposheet.commands._stimuli import AS_USUAL, Model, Options
from toposheet.settings import READING, Reading, check_count, check_length


@deferred
def searchlight(
    model: Model,
    out: Path,
    task: Task = BLIMP,
    radius_mm: float = 3.0,
    step_mm: float | None = None,
    sheet: tuple[str, ...] = (),
    to: To = "zero",
    strength: float | None = None,
    draws: int = 39,
    stimuli: str | None = None,
    reading: Reading = READING,
    options: Options = AS_USUAL,
    seed: int = 0,
) -> None:
    """Lesion or stimulate a disc at every place of the sheets, and map what it does to a task.

    The null is the same searchlight with the places of units exchanged at random; so --draws 39 takes 40 times as long
    as --draws 0, which makes the map without a test. An interrupted command continues.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for searchlight.csv and a figure.
        task: The task that is measured.
        radius_mm: Radius of the discs, in mm.
        step_mm: Largest distance between the centres of neighbouring discs, in mm. None: 1.41 times the radius, so that
            each unit is in some disc.
        sheet: Names of sheets. None given: all sheets.
        to: What lesioned units put out. zero: nothing. mean: always their mean. noise: noise with their variance.
        strength: Stimulate the discs with so many standard deviations of each unit. None: lesion them.
        draws: Number of draws of the null. With 39 draws the smallest p is 0.025.
        stimuli: The stimuli over whose sentences (or over all, if there are none) means and standard deviations are
            computed: a CSV file, or the name of a set. None: the stimuli that are saved with the model.
        reading: How the model reads the stimuli. A bos that is given also stands before every text of the task.
        options: How stimuli are read.
        seed: Seed of the random draws.
    """
    if draws:
        check_count("draws", draws, 2, " (or 0, for a map without a test)")
    check_length("radius_mm", radius_mm)
    if step_mm is not None:
        check_length("step_mm", step_mm)
    task.check()
    check_out(out)
    act = act_of(to, strength, seed)
    from toposheet.progress import shown

    with shown() as progress:
        from toposheet.cache import cache_folder
        from toposheet.interventions import searchlight
        from toposheet.interventions.outcomes import SearchlightOutcome
        from toposheet.interventions.regions import sheet_of

        prepared = prepare(
            model, task, [act], reading, stimuli, options, progress,
            checked=lambda subject: [sheet_of(subject.topography, name) for name in sheet],
        )  # fmt: skip
        table = searchlight(
            prepared.subject, prepared.measure, radius_mm=radius_mm, step_mm=step_mm, sheets=sheet or None, act=act,
            draws=draws, texts=prepared.texts, reading=reading, seed=seed, cache=cache_folder(), progress=progress,
        )  # fmt: skip
        facts = {"radius_mm": radius_mm, "step_mm": step_mm, "sheets": list(sheet), "draws": draws, "seed": seed}
        outcome = SearchlightOutcome(table, prepared.facts | facts)
        outcome.write(out)
    show(outcome, "searchlight", out)


COMMAND = Command(position=69, parser=searchlight, goes_on=True)
