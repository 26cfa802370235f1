"""What the commands of interventions share: the subject, the task that is measured, and the texts for the activity."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toposheet.commands._stimuli import StimulusOptions, opening, read_contrasts, read_table
from toposheet.errors import NotFound
from toposheet.progress import Progress
from toposheet.settings import Reading, check_count

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.cortex import Comparison
    from toposheet.interventions import Measure
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


@dataclass(frozen=True, eq=False)
class Prepared:
    """A subject with what is measured.

    Args:
        subject: The subject.
        measure: The accuracy in the task.
        texts: The texts over which the activity of units is measured. None: they are not needed, or there are none.
        comparison: The contrast that says how selective a unit is. None: it is not wanted, or there are no stimuli.
        facts: The model, the task and the stimuli.
    """

    subject: Subject
    measure: Measure
    texts: pd.DataFrame | None
    comparison: Comparison | None
    facts: dict[str, Any]


def prepare(
    model: str,
    task: TaskOptions,
    reading: Reading,
    stimuli: str | None,
    options: StimulusOptions,
    progress: Progress,
    *,
    needs_activity: bool,
    contrast: str | None = None,
    compares: bool = False,
    checked: Callable[[Subject], object] = lambda _: None,
) -> Prepared:
    """Open a model and read a task and stimuli. What is missing on the disk is named before the model is opened.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        task: The task.
        reading: How the model reads the stimuli. A bos also stands before every text of the task.
        stimuli: A CSV file, or the name of a set. None: the stimuli that are saved with the model.
        options: How stimuli are read.
        progress: A function that is called with the progress.
        needs_activity: Whether the activity of units is needed. Missing stimuli are then an error.
        contrast: The contrast, written as A:B. None: that of language.
        compares: Whether the comparison is wanted. Missing stimuli are then a note.
        checked: A function of the subject that refuses regions which the subject does not have.
    """
    opened = opening(model, progress)
    from toposheet.evaluation import TASKS, measure

    TASKS[task.task].read(task.path)  # missing files are named before the model is opened
    from toposheet.cache import cache_folder
    from toposheet.cortex import Comparison
    from toposheet.stimuli.naming import labels
    from toposheet.subject import respond

    subject = opened()
    checked(subject)
    comparison, texts, name = None, None, None
    if needs_activity or compares:
        try:
            table = read_table(stimuli, opened, options, progress)
        except NotFound as error:
            if stimuli is not None or needs_activity:
                raise
            print(f"note: no least selective and no matched units: {error}", file=sys.stderr)
        else:
            (parsed,) = read_contrasts(table, [contrast] if contrast else [], options, or_language=True)
            texts, name = table[labels(table, parsed.column) == parsed.a].reset_index(drop=True), str(parsed)
            if compares:
                comparison = Comparison(respond(subject, table, reading=reading, cache=cache_folder()), parsed)
                name = comparison.name
    facts = {"model": {"source": str(subject.source), "fingerprint": subject.fingerprint}, "task": task.task,
             "path": None if task.path is None else str(task.path), "limit": task.limit, "value": task.value,
             "bos": reading.bos, "contrast": name}  # fmt: skip
    measured = measure(subject, task.task, value=task.value, path=task.path, limit=task.limit, bos=reading.bos)
    return Prepared(subject, measured, texts, comparison, facts)
