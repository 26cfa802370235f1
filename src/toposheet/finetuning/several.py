"""Fine-tunings of one or two models on several tasks, side by side: their tables, figures and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from toposheet.figures.accuracies import accuracies
from toposheet.figures.finetunings import validation_losses
from toposheet.files import path_of
from toposheet.finetuning.finetune import Finetuned, finetune
from toposheet.finetuning.folder import FINETUNINGS
from toposheet.finetuning.glue import GLUE
from toposheet.finetuning.scores import SCORE, SCORE_DIFFERENCES, SCORES, predictions_table, score_differences
from toposheet.progress import Progress, part_of
from toposheet.recipes.finetuning import Finetuning
from toposheet.results import Results, paragraph, rows_with, text_table
from toposheet.subject import Subject
from toposheet.train.log import METRICS, read_metrics
from toposheet.wording import counted, interval, number, signed


@dataclass(frozen=True, eq=False)
class Finetunings:
    """Fine-tunings of models on tasks.

    Args:
        items: The predictions of all models in each task: {task: table}.
        scores: The scores, the columns of `SCORES`.
        finetunings: The losses, the columns of `FINETUNINGS`.
        differences: The differences of the scores of the model and its control, the columns of `SCORE_DIFFERENCES`.
        curves: The logged losses of each model in each task: {task: {model: table}}.
        facts: The models and the settings.
        folders: The model folders of the fine-tuned models.
    """

    items: Mapping[str, pd.DataFrame]
    scores: pd.DataFrame
    finetunings: pd.DataFrame
    differences: pd.DataFrame
    curves: Mapping[str, Mapping[str, pd.DataFrame]]
    facts: Mapping[str, Any]
    folders: Sequence[Path]

    def write(self, folder: str | Path) -> None:
        """Write the tables, the figures and the facts to a folder (`Results.write`)."""
        tables = {predictions_table(task): items for task, items in self.items.items()}
        tables |= {SCORES: self.scores, FINETUNINGS: self.finetunings}
        if not self.differences.empty:
            tables[SCORE_DIFFERENCES] = self.differences
        figures = {"scores": self.figure()}
        for task, curves in self.curves.items():
            kept = self.finetunings[self.finetunings["task"] == task].set_index("model")["kept_update"]
            figures[f"losses-{task}"] = validation_losses(curves, dict(kept), task)
        Results(tables, facts=self.facts, figures=figures).write(folder)

    def figure(self) -> Any:
        """Return the figure of the scores of all tasks, with their baselines."""
        shown = self.scores[self.scores["metric"] == SCORE]
        table = shown.assign(level="task", group=[_name(row) for row in _records(shown)],
                             accuracy=shown["value"], chance=shown["baseline"])  # fmt: skip
        return accuracies(table, "GLUE", value="score", line="baseline")

    def __str__(self) -> str:
        """Return a table with a row for each model and task, and the differences of the models."""
        rows = _records(self.scores[self.scores["metric"] == SCORE])
        losses = [self._losses(row) for row in rows]
        columns = {
            "task": [_name(row) for row in rows],
            "model": [row["model"] for row in rows],
            "metric": [" + ".join(GLUE[row["task"]].metrics) for row in rows],
            "items": [f"{row['n_items']:,}" for row in rows],
            "score": [number(row["value"], 3) for row in rows],
            "95 % interval": [interval(row["low"], row["high"]) for row in rows],
            "base- line": [number(row["baseline"]) for row in rows],
            "alpha": [f"{row['alpha']:g}" for row in losses],
            "spatial loss before": [number(row["spatial_loss_before"], 3) for row in losses],
            "after": [number(row["spatial_loss"], 3) for row in losses],
            "kept update": [f"{row['kept_update']:,}" for row in losses],
        }
        lines = [text_table(columns, ("task", "model", "metric"))]
        for row in _records(self.differences):
            low, difference, high = (signed(row[name], 3) for name in ("low", "difference", "high"))
            lines.append(
                paragraph(
                    f"{_name(row)}: the score of {row['model']} minus that of {row['other_model']} on the same "
                    f"examples is {difference} (95 % interval {low} to {high})."
                )
            )
        if len(tasks := set(self.scores["task"])) > 1:
            means = [f"{number(mean, 3)} ({model})" for model, mean in self.means.items()]
            lines.append(paragraph(f"The mean over {counted(len(tasks), 'task')} is {', '.join(means)}."))
        if (n := int(self.finetunings["n_shortened"].sum())) > 0:
            lines.append(paragraph(f"{n:,} examples were too long for a model and were shortened."))
        return "\n".join(lines)

    @property
    def means(self) -> dict[str, float]:
        """The mean score of each model over the tasks. The two splits of mnli count as one task, as in GLUE."""
        of_tasks = self.scores[self.scores["metric"] == SCORE].groupby(["model", "task"], sort=False)["value"].mean()
        return {str(model): float(mean) for model, mean in of_tasks.groupby("model", sort=False).mean().items()}

    def _losses(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of the losses that belongs to a row of the scores."""
        return _records(rows_with(self.finetunings, model=row["model"], task=row["task"]))[0]


def finetune_several(
    subject: Subject,
    tasks: Sequence[str],
    out: str | Path,
    *,
    control: Subject | None = None,
    path: str | Path | None = None,
    settings: Finetuning | None = None,
    progress: Progress | None = None,
) -> Finetunings:
    """Fine-tune a subject, and its control without objective, on several tasks, each in a folder of its own.

    Args:
        subject: The subject.
        tasks: Names of tasks.
        out: The folder. `OUT/TASK` holds the fine-tuned subject, and `OUT/TASK-control` the control.
        control: A control model. It is fine-tuned in the same way with alpha 0. None: there is none.
        path: See `finetune`. For several tasks, it holds a folder for each of them.
        settings: See `finetune`.
        progress: A function that is called with the amount of work done so far. None: no calls.

    Raises:
        UserError: As for `finetune`.
        RunError: As for `finetune`.
    """
    out, settings = path_of(out, "out"), settings or Finetuning()
    runs = [("", subject, settings)]
    if control is not None:
        runs.append(("-control", control, replace(settings, alpha=0.0)))
    parts = [(task, *run) for task in dict.fromkeys(tasks) for run in runs]
    done: dict[str, list[Finetuned]] = {}
    curves: dict[str, dict[str, pd.DataFrame]] = {}
    for index, (task, suffix, one, chosen) in enumerate(parts):
        folder, within = out / f"{task}{suffix}", part_of(progress, index, len(parts), f"{task}, {one.name}")
        finetuned = finetune(one, task, folder, path=path, settings=chosen, progress=within)
        name = one.name if suffix == "" or one.name != subject.name else f"{one.name} (2)"
        done.setdefault(task, []).append(_named(finetuned, name))
        curves.setdefault(task, {})[name] = read_metrics(folder / METRICS)
    everything = [one for of_task in done.values() for one in of_task]
    differences = [score_differences(mine.items, other.items) for mine, *others in done.values() for other in others]
    fingerprints = {run[1].name: run[1].fingerprint for run in runs}
    return Finetunings(
        items={task: pd.concat([one.items for one in of_task], ignore_index=True) for task, of_task in done.items()},
        scores=SCORES.frame(pd.concat([one.scores for one in everything], ignore_index=True)),
        finetunings=FINETUNINGS.frame(pd.concat([one.finetunings for one in everything], ignore_index=True)),
        differences=SCORE_DIFFERENCES.frame(pd.concat(differences, ignore_index=True) if differences else []),
        curves=curves,
        facts={"models": fingerprints, "tasks": list(done), "path": None if path is None else str(path),
               "settings": vars(settings)},
        folders=[out / f"{task}{suffix}" for task, suffix, *_ in parts],
    )  # fmt: skip


def _named(finetuned: Finetuned, name: str) -> Finetuned:
    """Return a fine-tuning whose tables have another name of the model."""
    tables = {table: getattr(finetuned, table).assign(model=name) for table in ("items", "scores", "finetunings")}
    return replace(finetuned, **tables)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _name(row: Mapping[str, Any]) -> str:
    """Return the name of a task and of its split, if it has several."""
    split = row["split"].removeprefix("validation").strip("_")
    return f"{row['task']} {split}".strip()
