"""The names of a table of stimuli, of its rows and of its columns in messages, and the labels of a column."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toposheet.errors import UserError, did_you_mean, listed
from toposheet.stimuli.labels import plain_label


def source_name(stimuli: pd.DataFrame) -> str:
    """Return the name of the stimuli: the path of their file, or the name of their set, if it is known."""
    return str(stimuli.attrs.get("source", "the stimulus set"))


def name_made(name: str) -> str:
    """Return the name, in `attrs["source"]`, of stimuli that were made as a built-in set."""
    return f"the synthetic set {name}"


def is_made(stimuli: pd.DataFrame, name: str) -> bool:
    """Return whether stimuli were made as the built-in set of this name. A file with its texts is not."""
    return source_name(stimuli) == name_made(name)


def row_name(stimuli: pd.DataFrame, position: int) -> str:
    """Return the name of a stimulus: `row 4` of the file if the source of the table is known, else `stimulus 2`.

    The header of a file is row 1. A row keeps its number if other rows are removed from the table. If the index of the
    table does not hold whole numbers, the name is the label in the index.

    Args:
        stimuli: The table.
        position: Position of the stimulus in the table, from 0.
    """
    label = stimuli.index[position]
    if "source" in stimuli.attrs and pd.api.types.is_integer(label):
        return f"row {label + 2}"
    return f"stimulus {plain_label(label)}"


def check_column(stimuli: pd.DataFrame, column: str, advice: str = "") -> None:
    """Refuse a table that does not have exactly one column of a name.

    Args:
        stimuli: The table.
        column: Name of the column.
        advice: A sentence for the end of the message about a missing column.

    Raises:
        UserError: The table has no such column (the message lists the existing ones), or two of them.
    """
    columns = stimuli.columns
    if column not in columns:
        renamed = stimuli.attrs.get("renamed", {})
        if column in renamed:
            hint = f" The column {column!r} of the file is called {renamed[column]!r} in this table."
        else:
            hint = did_you_mean(column, map(str, columns))
        existing = listed(map(str, columns)) or "no columns"
        raise UserError(f"{source_name(stimuli)} has no column {column!r}; it has: {existing}.{hint}{advice}")
    if np.count_nonzero(columns == column) > 1:
        raise UserError(f"{source_name(stimuli)} has two columns {column!r}: rename one of them")


def labels(stimuli: pd.DataFrame, column: str) -> np.ndarray:
    """Return the labels of a column, each as `plain_label` writes it.

    Raises:
        UserError: The table has no such column, or two of them.
    """
    check_column(stimuli, column)
    return np.array([plain_label(value) for value in stimuli[column].tolist()], dtype=object)
