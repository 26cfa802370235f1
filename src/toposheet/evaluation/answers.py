"""The answers of one or several models to tasks: their tables, figures and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toposheet.evaluation.accuracy import ACCURACY, ALL, accuracy
from toposheet.evaluation.difference import ACCURACY_DIFFERENCE, accuracy_difference
from toposheet.evaluation.evaluate import evaluate
from toposheet.evaluation.task import TASKS, items_table
from toposheet.figures.accuracies import accuracies
from toposheet.progress import Progress, part_of
from toposheet.results import Results, paragraph, text_table
from toposheet.settings import check_seed
from toposheet.subject import Subject
from toposheet.wording import equals_p, p_value, signed


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of models to tasks.

    Args:
        items: The items of each task, of all models: {task: table of `evaluate`}.
        accuracy: The accuracy in each group (`accuracy`).
        difference: The differences between the first model and each other model (`accuracy_difference`). Empty: there
            is one model.
        facts: The models and settings that determine the numbers.
    """

    items: Mapping[str, pd.DataFrame]
    accuracy: pd.DataFrame
    difference: pd.DataFrame
    facts: Mapping[str, Any]

    def write(self, folder: str | Path) -> None:
        """Write the tables, a figure for each task, and the facts to a folder (`Results.write`).

        Args:
            folder: The folder. It is created if it does not exist.
        """
        tables = {items_table(task): items for task, items in self.items.items()} | {ACCURACY: self.accuracy}
        if not self.difference.empty:
            tables[ACCURACY_DIFFERENCE] = self.difference
        figures = {f"accuracy-{task}": self.figure(task) for task in self.items}
        Results(tables, facts=self.facts, figures=figures).write(folder)

    def figure(self, task: str) -> Any:
        """Return the figure of the accuracies of a task: all items, and all groups but the finest ones."""
        rows = self.accuracy[self.accuracy["task"] == task]
        groups = TASKS[task].groups
        return accuracies(rows[rows["level"].isin([ALL, *(groups[:-1] or groups)])], task)

    def __str__(self) -> str:
        """Return a short table: for each task, the accuracy of all items and of the coarsest groups."""
        table = self.accuracy.to_dict("records")
        shown = [row for row in table if row["level"] in (ALL, TASKS[row["task"]].groups[0])]
        columns = {
            "task": [row["task"] for row in shown],
            "group": ["all" if row["level"] == ALL else row["group"] for row in shown],
            "model": [row["model"] for row in shown],
            "items": [f"{row['n_items']:,}" for row in shown],
            "accuracy": [f"{row['accuracy']:.1%}" for row in shown],
            "95 % interval": [f"{row['low']:.1%} to {row['high']:.1%}" for row in shown],
            "chance": [f"{row['chance']:.0%}" for row in shown],
            "p (Holm)": [p_value(row["p_holm"]) for row in shown],
        }
        lines = [text_table(columns, ("task", "group", "model"))]
        for row in self.difference[self.difference["level"] == ALL].to_dict("records"):
            low, difference, high = (signed(100 * row[name]) for name in ("low", "difference", "high"))
            lines.append(
                paragraph(
                    f"{row['task']}: the accuracy of {row['model']} minus that of {row['other_model']} on the same "
                    f"items is {difference} points (95 % interval {low} to {high}, {equals_p(row['p'])})."
                )
            )
        return "\n".join(lines)


def answers(
    subjects: Sequence[Subject],
    tasks: Sequence[str],
    *,
    path: str | Path | None = None,
    limit: int | None = None,
    bos: str | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Answers:
    """Return the answers of subjects to tasks, their accuracies, and the differences to the first subject.

    Args:
        subjects: The subjects. If two have the same name, a number is added to that of the second in the tables.
        tasks: Names of tasks.
        path: See `evaluate`. It is the path of all tasks.
        limit: See `evaluate`.
        bos: See `evaluate`.
        seed: Seed of the draws of `accuracy_difference`.
        cache: See `evaluate`.
        progress: A function that is called with the amount of work done so far. None: no calls.

    Raises:
        UserError: As for `evaluate`.
    """
    check_seed(seed)
    names = [subject.name for subject in subjects]
    named = {name if (n := names[:i].count(name)) == 0 else f"{name} ({n + 1})": subjects[i]
             for i, name in enumerate(names)}  # fmt: skip
    of_tasks, of_models, differences = {}, [], []
    parts = [(task, name) for task in tasks for name in named]
    for number, (task, name) in enumerate(parts):
        within = part_of(progress, number, len(parts), name)
        items = evaluate(named[name], task, path=path, limit=limit, bos=bos, cache=cache, progress=within)
        items["model"] = name
        of_models.append(accuracy(items))
        of_tasks.setdefault(task, []).append(items)
        if len(of_tasks[task]) > 1:
            differences.append(accuracy_difference(of_tasks[task][0], items, seed=seed))
    return Answers(
        items={task: pd.concat(tables, ignore_index=True) for task, tables in of_tasks.items()},
        accuracy=ACCURACY.frame(pd.concat(of_models, ignore_index=True)),
        difference=ACCURACY_DIFFERENCE.frame(pd.concat(differences) if differences else []),
        facts={
            "models": {name: {"source": str(subject.source), "fingerprint": subject.fingerprint}
                       for name, subject in named.items()},
            "tasks": list(tasks), "path": None if path is None else str(path), "limit": limit, "bos": bos, "seed": seed,
        },
    )  # fmt: skip
