"""Tasks as measures: what a lesion changes is measured by the items of a task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from toposheet.evaluation.evaluate import items_of_finest_groups
from toposheet.evaluation.task import TASKS
from toposheet.files import path_of
from toposheet.interventions import Measure
from toposheet.subject import Subject, tokenise


def measure(
    subject: Subject, task: str, *, path: str | Path | None = None, limit: int | None = None, bos: str | None = None
) -> Measure:
    """Return the accuracy in a task as a measure of lesions. Its groups are the finest groups of the task.

    Args:
        subject: The subject, whose tokenizer is used.
        task: The name of a task, for example `blimp`.
        path: See `evaluate`.
        limit: See `evaluate`.
        bos: See `evaluate`.

    Raises:
        UserError: As for `evaluate`.
        NotFound: The items are not found.

    Example:
        blimp = ts.measure(subject, "blimp", path="blimp", limit=20)
        ts.lesion_effects(subject, ts.Disc("model.layers.2.mlp", 8, 8, 3), blimp)
    """
    entry = TASKS[task]
    by_group = items_of_finest_groups(entry.read(None if path is None else path_of(path)), limit)
    items = [item for of_group in by_group.values() for item in of_group]
    requests = tokenise(subject, [request for item in items for request in item.requests], bos)
    ends = np.cumsum([sum(request.n_spans for request in item.requests) for item in items])[:-1]

    def value(sums: Float[np.ndarray, " spans"]) -> Float[np.ndarray, " items"]:
        parts = np.split(sums, ends)
        return np.array([entry.outcome(item, part)["value"] for item, part in zip(items, parts, strict=True)], float)

    return Measure(task, requests, value, ["/".join(item.groups) for item in items])
