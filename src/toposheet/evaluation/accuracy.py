"""The accuracy of a model in each group of the items of a task."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pandas as pd

from toposheet.errors import UserError
from toposheet.evaluation.task import TASKS
from toposheet.results import Table
from toposheet.stats import chance_p, holm, interval_of_mean, wilson_interval

ALL, EVERYTHING = "all", "*"  # the level and the group of all items

ACCURACY = Table(
    "accuracy.csv",
    {"model": "text", "task": "text", "level": "text", "group": "text", "n_items": "count", "accuracy": "number",
     "low": "number", "high": "number", "chance": "number", "p": "number", "p_holm": "number"},
    "the accuracy of a model in a group of items",
)  # fmt: skip


def accuracy(items: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy in each group of items, with its 95 % interval and its test against chance.

    The accuracy of a finest group (a paradigm of BLiMP) is the mean value of its items, and its interval is Wilson's.
    The accuracy of a larger group is the mean over its finest groups, as is usual for BLiMP. Its interval is made from
    theirs (MOVER). So the intervals are over items: in 95 of 100 cases they hold the accuracy on all possible items of
    the same paradigms. The paradigms themselves are not a sample, because they are the whole benchmark, so the interval
    says nothing about other paradigms.

    Args:
        items: The items of one or several models, from `evaluate`.

    Returns:
        A row for each model and group, with the columns `model, task, level, group, n_items, accuracy, low, high,
        chance, p, p_holm`. `level` is `all` (its group is `*`) or the name of a column of groups. `p` is two-sided, of
        the number of right items if each is right by chance (binomial). `p_holm` is corrected for the groups of a
        level of a model (Holm).

    Raises:
        UserError: The table has no items, or they are not from `evaluate`.
    """
    rows = []
    for _, of_model in _by_model(items):
        for level, group, parts in groups_of(of_model):
            values = [part["value"].to_numpy() for part in parts]
            chance = [part["chance"].to_numpy() for part in parts]
            means = np.array([part.mean() for part in values])
            low, high = interval_of_mean(means, [wilson_interval(part.mean(), len(part)) for part in values])
            first = of_model.iloc[0]
            rows.append(
                {"model": first["model"], "task": first["task"], "level": level, "group": group,
                 "n_items": sum(map(len, values)), "accuracy": means.mean(), "low": low, "high": high,
                 "chance": np.mean([part.mean() for part in chance]),
                 "p": chance_p(np.concatenate(values), np.concatenate(chance))}
            )  # fmt: skip
    return with_holm(ACCURACY.frame(rows))


def with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the column `p_holm`: p that is corrected for the rows of a level of a model and a task."""
    corrected = table.groupby(["model", "task", "level"], sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    return table.assign(p_holm=corrected)


def groups_of(items: pd.DataFrame) -> Generator[tuple[str, str, list[pd.DataFrame]], None, None]:
    """Yield each group of the items of one model: its level, its name, and the items of each finest group in it."""
    groups = list(TASKS[items["task"].iloc[0]].groups)
    finest = [part for _, part in items.groupby(groups, sort=False)]
    yield ALL, EVERYTHING, finest
    for level in groups:
        for name in dict.fromkeys(items[level]):
            yield level, name, [part for part in finest if part[level].iloc[0] == name]


def check_items(items: pd.DataFrame) -> None:
    """Refuse a table without items, or one that is not from `evaluate`.

    Raises:
        UserError: The message names a column that is missing.
    """
    for column in ("model", "task", "item", "value", "chance"):
        if column not in items:
            raise UserError(f"the table of items has no column {column!r}: give a table from toposheet.evaluate")
    if items.empty:
        raise UserError("the table has no items: give a table from toposheet.evaluate")
    columns = items.columns.tolist()
    names = columns[: columns.index("item") + 1]  # the model, the task, the groups and the item
    if (again := items.duplicated(names)).any():
        (row,) = items[again].head(1).to_dict("records")
        raise UserError(
            f"item {row['item']} is there twice for {row['model']}: give each item once, and each model its own name"
        )


def _by_model(items: pd.DataFrame):
    """Return the items of each model and task."""
    check_items(items)
    return items.groupby(["model", "task"], sort=False)
