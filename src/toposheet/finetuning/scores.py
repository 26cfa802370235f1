"""The predictions of fine-tuned models for the examples of GLUE, and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError
from toposheet.finetuning.examples import Example
from toposheet.finetuning.glue import GLUE, GlueTask
from toposheet.finetuning.metrics import difference_interval, score, score_interval
from toposheet.results import Table
from toposheet.settings import check_seed

SCORE = "score"

SCORES = Table(
    "scores.csv",
    {"model": "text", "task": "text", "split": "text", "metric": "text", "n_items": "count", "value": "number",
     "low": "number", "high": "number", "baseline": "number"},
    "a metric of a fine-tuned model in a task",
)  # fmt: skip

SCORE_DIFFERENCES = Table(
    "score_differences.csv",
    {"model": "text", "other_model": "text", "task": "text", "split": "text", "n_items": "count", "value": "number",
     "other_value": "number", "difference": "number", "low": "number", "high": "number"},
    "the difference of the scores of two fine-tuned models in a task",
)  # fmt: skip


def predictions_table(task: str) -> Table:
    """Return the definition of the table of predictions: a row for each example of each model."""
    return Table(
        f"items_{task}.csv",
        {"model": "text", "task": "text", "split": "text", "item": "text", "label": "number", "prediction": "number",
         "baseline": "number"},
        "an example of a task, and what a fine-tuned model predicts",
    )  # fmt: skip


def predictions(task: GlueTask, outputs: Float[np.ndarray, "examples outputs"]) -> Float[np.ndarray, " examples"]:
    """Return the predictions that follow from outputs: the label with the largest logit, or the number itself."""
    return outputs[:, 0].astype(float) if task.is_regression else outputs.argmax(axis=1).astype(float)


def baseline_of(task: GlueTask, labels: Float[np.ndarray, " examples"]) -> float:
    """Return what a model without knowledge predicts: the most frequent label of the training, or its mean number."""
    if task.is_regression:
        return float(labels.mean())
    return float(np.bincount(labels.astype(int), minlength=len(task.labels)).argmax())


def prediction_rows(
    model: str, task: str, split: str, examples: Sequence[Example], predicted: np.ndarray, baseline: float
) -> list[dict[str, Any]]:
    """Return the rows of `predictions_table` for the examples of a split."""
    return [
        {"model": model, "task": task, "split": split, "item": example.name, "label": example.label,
         "prediction": value, "baseline": baseline}
        for example, value in zip(examples, predicted, strict=True)
    ]  # fmt: skip


def scores(items: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Return the metrics of fine-tuned models, with 95 % intervals over examples.

    Args:
        items: Predictions of one or several models, from `Finetuned.answers` or `Finetuned.items`.
        seed: Seed of the random draws of the intervals.

    Returns:
        A row for each model, task, split and metric, with the columns `model, task, split, metric, n_items, value, low,
        high, baseline`. The metric `score` is that of the task: the mean of its metrics. `baseline` is the value of a
        model that always predicts the most frequent label of the training (in a regression the mean).

    Raises:
        UserError: The table is not one of predictions.
    """
    check_seed(seed)
    rows = []
    for (model, task, split), part in _by_split(items):
        names = GLUE[task].metrics
        labels, predicted, baseline = (part[column].to_numpy() for column in ("label", "prediction", "baseline"))
        for metric, of_metric in {SCORE: names, **({m: (m,) for m in names} if len(names) > 1 else {})}.items():
            low, high = score_interval(of_metric, labels, predicted, np.random.default_rng(seed))
            rows.append(
                {"model": model, "task": task, "split": split, "metric": metric, "n_items": len(part),
                 "value": float(score(of_metric, labels, predicted)), "low": low, "high": high,
                 "baseline": float(score(of_metric, labels, baseline))}
            )  # fmt: skip
    return SCORES.frame(rows)


def score_differences(items: pd.DataFrame, other: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Return how much higher the scores of a fine-tuned model are than those of another one, on the same examples.

    Args:
        items: The predictions of a model.
        other: The predictions of the other model, for the same examples.
        seed: Seed of the random draws of the intervals.

    Returns:
        A row for each task and split, the columns of `SCORE_DIFFERENCES`. The interval is over examples, which are
        drawn for both models together.

    Raises:
        UserError: The two tables have other examples.
    """
    check_seed(seed)
    theirs, rows = {key[1:]: (key[0], part) for key, part in _by_split(other)}, []
    for (model, task, split), part in _by_split(items):
        other_model, of_other = theirs.get((task, split), ("", other.iloc[:0]))
        columns = ["item", "label"]
        if not part[columns].reset_index(drop=True).equals(of_other[columns].reset_index(drop=True)):
            raise UserError(f"the two models answered other examples of {task}: fine-tune both with the same files")
        labels, mine, others = (
            table[column].to_numpy()
            for table, column in ((part, "label"), (part, "prediction"), (of_other, "prediction"))
        )
        metrics = GLUE[task].metrics
        values = [float(score(metrics, labels, one)) for one in (mine, others)]
        low, high = difference_interval(metrics, labels, mine, others, seed)
        rows.append(
            {"model": model, "other_model": other_model, "task": task, "split": split, "n_items": len(part),
             "value": values[0], "other_value": values[1], "difference": values[0] - values[1], "low": low,
             "high": high}
        )  # fmt: skip
    return SCORE_DIFFERENCES.frame(rows)


def _by_split(items: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Yield the predictions of each model, task and split."""
    for column in ("model", "task", "split", "item", "label", "prediction", "baseline"):
        if column not in items:
            raise UserError(f"the table has no column {column!r}: give the items of a fine-tuned model")
    for task in items["task"]:
        if task not in GLUE:
            raise UserError(f"the table has the task {task!r}, which is no task of GLUE: give other items")
    for (model, task, split), part in items.groupby(["model", "task", "split"], sort=False):
        yield (str(model), str(task), str(split)), part
