"""How much more accurate a model is than another one on the same items."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toposheet.errors import UserError
from toposheet.evaluation.accuracy import check_items, groups_of, with_holm
from toposheet.evaluation.task import TASKS
from toposheet.results import Table
from toposheet.settings import check_count, check_seed
from toposheet.stats import interval_of_mean, paired_interval, paired_p

PERMUTATIONS = 9999  # the draws take milliseconds; 67 paradigms that are corrected need small p values

ACCURACY_DIFFERENCE = Table(
    "accuracy_difference.csv",
    {"model": "text", "other_model": "text", "task": "text", "level": "text", "group": "text", "n_items": "count",
     "value": "number", "other_value": "number", "difference": "number", "low": "number", "high": "number",
     "p": "number", "p_holm": "number"},
    "the difference of the accuracies of two models in a group of items",
)  # fmt: skip


def accuracy_difference(
    items: pd.DataFrame, other: pd.DataFrame, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> pd.DataFrame:
    """Return how much more accurate a model is than another one, in each group of the same items.

    The items are paired: the difference of a finest group is the mean over its items of the difference of the two
    values, with the interval of Agresti & Min. The difference of a larger group is the mean over its finest groups, and
    its interval is made from theirs (MOVER), as for `accuracy`. p is that of a sign-flip test: in each draw, the values
    of the two models are exchanged in a random half of the items.

    Args:
        items: The items of a model, from `evaluate`.
        other: The same items of another model, in any order.
        permutations: Number of random draws. The smallest possible p is 1 / (1 + permutations).
        seed: Seed of the draws.

    Returns:
        A row for each group, with the columns `model, other_model, task, level, group, n_items, value, other_value,
        difference, low, high, p, p_holm`. `value` and `other_value` are the accuracies. p is two-sided; `p_holm` is
        corrected for the groups of a level (Holm).

    Raises:
        UserError: A table has items of several models or tasks, or the two tables have other items.

    Example:
        small, control = (ts.evaluate(ts.load(name), "blimp") for name in ("small", "small-control"))
        ts.accuracy_difference(small, control)
    """
    check_count("permutations", permutations, 1)
    check_seed(seed)
    both = _paired(items, other)
    first, rng, rows = both.iloc[0], np.random.default_rng(seed), []
    for level, group, parts in groups_of(both):
        values, others = ([part[column].to_numpy() for part in parts] for column in ("value", "other_value"))
        differences = [mine - theirs for mine, theirs in zip(values, others, strict=True)]
        means = np.array([part.mean() for part in differences])
        low, high = interval_of_mean(means, [paired_interval(part) for part in differences])
        rows.append(
            {"model": first["model"], "other_model": first["other_model"], "task": first["task"], "level": level,
             "group": group, "n_items": sum(map(len, values)), "value": np.mean([part.mean() for part in values]),
             "other_value": np.mean([part.mean() for part in others]), "difference": means.mean(), "low": low,
             "high": high, "p": paired_p(differences, permutations, rng)}
        )  # fmt: skip
    return with_holm(ACCURACY_DIFFERENCE.frame(rows))


def _paired(items: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the items with the value of the other model beside the value of the model."""
    for table in (items, other):
        check_items(table)
        if len(table[["model", "task"]].drop_duplicates()) > 1:
            raise UserError("the table has items of several models or tasks: give those of one model and one task")
    task = items["task"].iloc[0]
    names = ["task", *TASKS[task].groups, "item"]
    theirs = other[["model", "value", *names]].rename(columns={"model": "other_model", "value": "other_value"})
    both = items.merge(theirs, on=names, how="inner", validate="one_to_one")
    if not len(both) == len(items) == len(other):
        raise UserError(
            f"the two models answered other items of {task} ({len(both):,} of {len(items):,} and {len(other):,} are "
            "the same): evaluate both with the same files and the same limit"
        )
    return both
