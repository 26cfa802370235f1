"""What the commands of interventions share: their options, the subject, and the task that is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from toposheet.commands._stimuli import StimulusOptions, opening, read_contrasts, read_table
from toposheet.errors import NotFound, UserError
from toposheet.settings import READING, Reading, check_count
from toposheet.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from toposheet.cortex import Comparison
    from toposheet.interventions import Act, Measure
    from toposheet.interventions.outcomes import Outcome
    from toposheet.progress import Progress
    from toposheet.subject import Subject

To = Literal["zero", "mean", "noise"]


@dataclass(frozen=True)
class TaskOptions:
    """The task that is measured.

    Args:
        task: Name of the task: blimp or syntaxgym.
        path: The file or folder of its items. None: see toposheet evaluate.
        limit: Use only so many items of each paradigm or suite: the first ones. None: use all.
        value: What is measured of an item: whether it is right, or by how many nats (blimp only).
    """

    task: str = "blimp"
    path: Path | None = None
    limit: int | None = None
    value: Literal["accuracy", "margin"] = "accuracy"

    def check(self) -> None:
        """Refuse a limit below 1."""
        if self.limit is not None:
            check_count("limit", self.limit, 1)


Task = Annotated[TaskOptions, tyro.conf.arg(name="")]
BLIMP = TaskOptions()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A subject with what is measured.

    Args:
        subject: The subject.
        measure: The accuracy in the task, or its margin.
        texts: The texts over which the activity of units is measured. None: they are not needed, or there are none.
        comparison: The contrast that says how selective a unit is. None: it is not wanted, or there are no stimuli.
        networks: The localizers whose networks are controls.
        facts: What determines the numbers: the model, the task, the stimuli and how they are read.
    """

    subject: Subject
    measure: Measure
    texts: pd.DataFrame | None
    comparison: Comparison | None
    networks: list[xr.Dataset]
    facts: dict[str, Any]


def act_of(to: To, strength: float | None, seed: int) -> Act:
    """Return the act that two options describe: a lesion, or with a strength a stimulation."""
    from toposheet.interventions import Lesion, Stimulation

    if strength is None:
        return Lesion(to, seed)
    if to != "zero":
        raise UserError(f"--to is {to}, but --strength asks for a stimulation: leave out one of the two")
    return Stimulation(strength)


def prepare(
    model: str,
    task: TaskOptions,
    acts: Sequence[Act],
    reading: Reading,
    stimuli: str | None,
    options: StimulusOptions,
    progress: Progress,
    *,
    contrast: str | None = None,
    networks: Sequence[str] = (),
    compares: bool = False,
    checked: Callable[[Subject], object] = lambda _: None,
) -> Prepared:
    """Open a model and read a task and stimuli. What is wrong in the options or missing on the disk is named first.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        task: The task.
        acts: What is done to regions.
        reading: How the model reads the stimuli. A bos also stands before every text of the task.
        stimuli: A CSV file, or the name of a set. None: the stimuli that are saved with the model.
        options: How stimuli are read.
        progress: A function that is called with the progress.
        contrast: The contrast, written as A:B. None: that of language.
        networks: Paths of localizers.
        compares: Whether the comparison is wanted.
        checked: A function of the subject that refuses regions which the subject does not have.
    """
    needs_activity = any(act.needs_activity for act in acts)
    reads = needs_activity or compares
    if stimuli is not None and not reads:
        raise UserError(f"--stimuli is {stimuli}, but a lesion to zero needs no texts: leave --stimuli out")
    if reading.skip_first and not reads:
        raise UserError("--skip-first is given, but a lesion to zero needs no texts: leave --skip-first out")
    if reading.pooling != READING.pooling and not compares:
        raise UserError(f"--pooling is {reading.pooling}, but no response is made from tokens here: leave it out")
    opened = opening(model, progress, reading if reads else None)
    from toposheet.cache import cache_folder
    from toposheet.cortex import Comparison, load_localizer
    from toposheet.evaluation import TASKS, task_measure
    from toposheet.evaluation.evaluate import read_items
    from toposheet.interventions import Mask
    from toposheet.interventions.activity import sentences_among
    from toposheet.stimuli.naming import labels
    from toposheet.subject import respond
    from toposheet.subject.respond import resolved_reading

    if task.value == "margin" and TASKS[task.task].margin is None:
        raise UserError(f"--value is margin, but the task {task.task} has no margin: measure its accuracy")
    read_items(task.task, task.path, task.limit)  # missing files are named before the model is opened
    localizers = [load_localizer(path) for path in networks]
    subject = opened()
    checked(subject)
    for localizer in localizers:
        Mask.of(localizer).units(subject)
    comparison, texts, facts = None, None, {}
    if reads:
        try:
            table = read_table(stimuli, opened, options, progress)
        except NotFound as error:
            if stimuli is not None or contrast is not None or needs_activity:
                raise
            print(f"note: no least selective and no matched units: {error}", file=sys.stderr)
        else:
            facts = {"stimuli": stimuli or "those of the model", "where": options.where}
            facts["reading"] = asdict(resolved_reading(subject, reading)[0])
            if not compares:
                texts = sentences_among(table)
            else:
                (parsed,) = read_contrasts(table, [contrast] if contrast else [], options, or_language=True)
                texts = table[labels(table, parsed.column) == parsed.a].reset_index(drop=True)
                responses = respond(subject, table, reading=reading, cache=cache_folder())
                comparison = Comparison(responses, parsed)
                facts["contrast"] = parsed.name
    identity = {"source": str(subject.source or subject.name), "fingerprint": subject.fingerprint}
    facts = {"version": __version__, "model": identity, "task": task.task, "value": task.value,
             "path": None if task.path is None else str(task.path), "limit": task.limit, "bos": reading.bos,
             **facts, "networks": list(networks), "acts": [act.name for act in acts]}  # fmt: skip
    measured = task_measure(subject, task.task, value=task.value, path=task.path, limit=task.limit, bos=reading.bos)
    return Prepared(subject, measured, texts, comparison, localizers, facts)


def check_acting(regions: Sequence[str], draws: int, task: TaskOptions) -> None:
    """Refuse what can be refused before PyTorch is imported: no region, too few draws, or a limit below 1."""
    if not regions:
        raise UserError("--region names no region: give at least one, such as --region disc:SHEET:ROW:COLUMN:RADIUS")
    check_count("draws", draws, 2)
    task.check()


def act_on(
    model: str,
    out: Path,
    regions: Sequence[str],
    task: TaskOptions,
    act: Act,
    *,
    draws: int,
    stimuli: str | None,
    contrast: str | None,
    networks: Sequence[str],
    reading: Reading,
    options: StimulusOptions,
    seed: int,
) -> None:
    """Act on regions, write what it does to a task, and print it. The other arguments are those of `lesion`."""
    from toposheet.progress import shown

    with shown() as progress:
        from toposheet.cache import cache_folder
        from toposheet.interventions import intervention_effects
        from toposheet.interventions.named import read_region
        from toposheet.interventions.outcomes import RegionOutcome

        named = [read_region(text) for text in regions]
        prepared = prepare(
            model, task, [act], reading, stimuli, options, progress, contrast=contrast, networks=networks,
            compares=True, checked=lambda subject: [region.units(subject) for region in named],
        )  # fmt: skip
        effects = intervention_effects(
            prepared.subject, named, prepared.measure, act=act, draws=draws, comparison=prepared.comparison,
            networks=prepared.networks, texts=prepared.texts, reading=reading, seed=seed, cache=cache_folder(),
            progress=progress,
        )  # fmt: skip
        facts = {"regions": list(regions), "draws": draws, "seed": seed}
        outcome = RegionOutcome(effects, prepared.facts | facts)
        outcome.write(out)
    show(outcome, "effects", out)


def show(outcome: Outcome, what: str, out: Path) -> None:
    """Print an outcome and the place of its files.

    Args:
        outcome: The outcome, which was written.
        what: What the files hold, in one or two words.
        out: Their folder.
    """
    print(outcome)
    print(f"\nThe {what}: {out.resolve()} ({outcome.definition.file}, figures)")
