"""Tasks: what a model is asked, and what counts as right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toposheet.registry import Registry
from toposheet.results import Kind, Table
from toposheet.subject import Request


@dataclass(frozen=True, eq=False)
class Item:
    """An item of a task: texts whose log-probabilities decide whether the model is right.

    Args:
        groups: The values of the groups of the task, from the coarsest to the finest.
        name: Name of the item within its finest group.
        requests: The texts and their spans.
        chance: The probability that a model is right by chance.
        content: What the task itself needs to know to judge the item.
    """

    groups: tuple[str, ...]
    name: str
    requests: tuple[Request, ...]
    chance: float = 0.5
    content: Any = None


@dataclass(frozen=True, eq=False)
class Task:
    """How the items of a task are found, and how log-probabilities become the value of an item.

    Args:
        description: The content of the task, in one phrase.
        source: The publication of the task.
        groups: Names of the columns that group items, from the coarsest to the finest. The accuracy of a group is the
            mean over the finest groups in it.
        columns: The kinds of the columns that `outcome` returns beside `value`.
        read: A function that returns all items. Its argument is the path that the user gave, or None.
        outcome: A function of an item and of the log-probabilities of its spans, in order. It returns the value of the
            item (`value`: 1 for right, 0 for wrong, 0.5 for a tie), and the other columns.
        margin: A function of the same arguments: by how many nats an item is right; negative if it is wrong. None: the
            task has no such number.

    Example:
        ts.register("task", "mine", Task("...", "...", ("kind",), {}, read=my_items, outcome=my_outcome))
    """

    description: str
    source: str
    groups: tuple[str, ...]
    columns: Mapping[str, Kind]
    read: Callable[[Path | None], list[Item]]
    outcome: Callable[[Item, np.ndarray], Mapping[str, Any]]
    margin: Callable[[Item, np.ndarray], float] | None = None


TASKS = Registry[Task]("toposheet.evaluation.tasks", "TASK", "task", entry=f"{__name__}:Task")


def items_table(task: str) -> Table:
    """Return the definition of the table of the items of a task: a row for each item of each model."""
    entry = TASKS[task]
    groups: dict[str, Kind] = dict.fromkeys(entry.groups, "text")
    before: dict[str, Kind] = {"model": "text", "task": "text", **groups, "item": "text"}
    return Table(
        f"items_{task}.csv",
        {**before, **entry.columns, "value": "number", "chance": "number"},
        "an item of a task, and whether the model is right",
    )
