"""Tasks as measures: what an intervention changes is measured by the items of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from toposheet.errors import UserError
from toposheet.evaluation.evaluate import read_items
from toposheet.evaluation.task import TASKS, Item
from toposheet.interventions import Measure
from toposheet.interventions.measure import Unit
from toposheet.settings import check_choice
from toposheet.subject import Subject, tokenise

Value = Literal["accuracy", "margin"]


def task_measure(
    subject: Subject,
    task: str,
    *,
    value: Value = "accuracy",
    path: str | Path | None = None,
    limit: int | None = None,
    bos: str | None = None,
) -> Measure:
    """Return the accuracy in a task, or the margin by which items are right, as a measure of interventions.

    Its groups are the finest groups of the task, such as the paradigms of BLiMP. Its parts are the coarsest groups,
    such as the fields of BLiMP.

    Args:
        subject: The subject, whose tokenizer is used.
        task: The name of a task, for example `blimp`.
        value: `accuracy`: 1 for an item that is right, and 0 for one that is wrong. `margin`: by how many nats it is
            right, for BLiMP the log-probability of the good sentence minus that of the bad one. It tells small effects
            from none with fewer items.
        path: See `evaluate`.
        limit: See `evaluate`.
        bos: See `evaluate`.

    Raises:
        UserError: As for `evaluate`. Or the task has no margin.
        NotFound: The items are not found.

    Example:
        blimp = ts.task_measure(subject, "blimp", path="blimp", limit=20)
        ts.intervention_effects(subject, ts.Disc("model.layers.2.mlp", 8, 8, 3), blimp)
    """
    entry = TASKS[task]
    check_choice("value", value, get_args(Value))
    if value == "margin" and entry.margin is None:
        raise UserError(f"the task {task} has no margin: measure its accuracy")
    by_group = read_items(task, path, limit)
    items = [item for of_group in by_group.values() for item in of_group]
    requests = tokenise(subject, [request for item in items for request in item.requests], bos)
    ends = np.cumsum([sum(request.n_spans for request in item.requests) for item in items])[:-1]

    def judged(item: Item, sums: np.ndarray) -> float:
        if value == "margin" and entry.margin is not None:
            return entry.margin(item, sums)
        return entry.outcome(item, sums)["value"]

    def values(sums: Float[np.ndarray, " spans"]) -> Float[np.ndarray, " items"]:
        parts = np.split(sums, ends)
        return np.array([judged(item, part) for item, part in zip(items, parts, strict=True)], float)

    groups, parts = ["/".join(item.groups) for item in items], [item.groups[0] for item in items]
    name = task if value == "accuracy" else f"margin of {task}"
    unit: Unit = "accuracy" if value == "accuracy" else "nats"
    return Measure(name, requests, values, groups, parts if len(entry.groups) > 1 else None, unit)
