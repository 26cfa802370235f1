"""The evaluation of a subject by a task."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from toposheet.cache import recall
from toposheet.errors import UserError, check_type
from toposheet.evaluation.task import TASKS, Item, items_table
from toposheet.files import path_of
from toposheet.progress import Progress, part_of
from toposheet.settings import check_count
from toposheet.subject import Subject, score_requests, tokenise
from toposheet.subject.log_probabilities import BATCH_SIZE

CACHE_FORMAT = 1  # increase it when a change of the code changes scores, so that old files are not used


def evaluate(
    subject: Subject,
    task: str,
    *,
    path: str | Path | None = None,
    limit: int | None = None,
    bos: str | None = None,
    batch_size: int = BATCH_SIZE,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return what a subject answers to each item of a task.

    Args:
        subject: The subject. Its interventions act.
        task: The name of a task: `blimp`, `syntaxgym`, or a registered one.
        path: The file or folder of the items. None: where the task itself looks for them.
        limit: Use only so many items of each of the finest groups: the first ones. None: use all.
        bos: The token that stands before every text. none: no token. None: see `toposheet.score`.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder in which the log-probabilities of each finest group are stored as soon as they are computed. So
            an interrupted evaluation continues. They are used again only for an equal subject and equal tokens
            (`Subject.fingerprint`). The folder is not used for a model with hooks from other code. None: nothing is
            stored.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        A row for each item, with the columns `model, task`, the groups of the task, `item`, the columns of the task
        (for BLiMP `good` and `bad`, the log-probabilities of both sentences), `value` (1 for right, 0 for wrong, 0.5
        for a tie) and `chance`. `toposheet.accuracy` computes the accuracy of each group.

    Raises:
        UserError: There is no such task. Its items cannot be read (the message names file and line). Or the subject
            cannot score a text, see `toposheet.score`.
        NotFound: The items are not found.

    Example:
        items = ts.evaluate(ts.load("small"), "blimp", path="blimp", limit=20)
        ts.accuracy(items)
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    check_type("task", task, str, f"the name of a task: {', '.join(TASKS)}")
    entry = TASKS[task]
    subject.check_tokenizer()
    parts = read_items(task, path, limit)
    folder = path_of(cache) if cache is not None and subject.can_be_cached else None
    fingerprint = "" if folder is None else subject.fingerprint
    rows = []
    for number, (groups, items) in enumerate(parts.items()):
        of_part = part_of(progress, number, len(parts), groups[-1])
        sums = _sums(subject, items, bos, batch_size, folder, fingerprint, of_part)
        for item in items:
            n_spans = sum(request.n_spans for request in item.requests)
            outcome = entry.outcome(item, np.fromiter(islice(sums, n_spans), float))
            named = dict(zip(entry.groups, groups, strict=True))
            rows.append(
                {"model": subject.name, "task": task, **named, "item": item.name, "chance": item.chance, **outcome}
            )
    return items_table(task).frame(rows)


def read_items(task: str, path: str | Path | None, limit: int | None) -> dict[tuple[str, ...], list[Item]]:
    """Return the items of each finest group of a task: the first `limit` of them.

    Raises:
        UserError: The limit is not a whole number of at least 1, or there is no item. Or the items cannot be read.
        NotFound: The items are not found.
    """
    if limit is not None:
        check_count("limit", limit, 1)
    items = TASKS[task].read(None if path is None else path_of(path))
    if not items:
        raise UserError(f"{path or task} has no items of {task}: give the files of the task")
    parts: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        parts.setdefault(item.groups, []).append(item)
    return {groups: part[:limit] for groups, part in parts.items()}


def _sums(
    subject: Subject,
    items: Sequence[Item],
    bos: str | None,
    batch_size: int,
    folder: Path | None,
    fingerprint: str,
    progress: Progress,
):
    """Return an iterator over the log-probabilities of the spans of items, from the cache or computed."""
    requests = tokenise(subject, [request for item in items for request in item.requests], bos)

    def compute() -> np.ndarray:
        return score_requests(subject, requests, batch_size=batch_size, progress=progress)

    if folder is None:
        return iter(compute())
    asked = [CACHE_FORMAT, fingerprint, requests.ids, requests.spans]
    return iter(recall(folder, "scores", asked, (requests.n_spans,), compute))
