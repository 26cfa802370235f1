"""Stimulus sets: tables with a text and a condition in every row."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd


def read_stimuli(path: str | Path, text_column: str = "text", condition_column: str = "condition") -> pd.DataFrame:
    """Return the stimuli of a CSV file, with columns `text`, `condition` and whatever else it has.

    Args:
        path: A CSV file with a header, in UTF-8.
        text_column: Its column that holds the texts.
        condition_column: Its column that holds the conditions.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, a row has no text or no condition, the file is empty or not a CSV
            in UTF-8; the message names file and row (the header is row 1).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no stimulus file {path}")
    content = path.read_bytes()
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, row {row}: not UTF-8; save the file as UTF-8") from None
    try:
        table = pd.read_csv(io.StringIO(decoded), keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is not a CSV table: {str(error).strip()}") from None
    for column in (text_column, condition_column):
        if column not in table:
            raise ValueError(f"{path} has no column {column!r}; it has: {', '.join(map(str, table.columns))}")
        table[column] = table[column].astype(str)
        empty = table[column].str.strip() == ""
        if empty.any():
            raise ValueError(f"{path}, row {int(empty.to_numpy().argmax()) + 2}: {column!r} is empty")
    if table.empty:
        raise ValueError(f"{path} has a header but no stimuli")
    clash = {"text", "condition"} - {text_column, condition_column}
    table = table.drop(columns=[c for c in clash if c in table])
    return table.rename(columns={text_column: "text", condition_column: "condition"})


def parse_contrast(contrast: str, conditions: list[str]) -> tuple[str, str]:
    """Return the two conditions of `A:B`, or of `A-B` where exactly one split names two conditions.

    Raises:
        ValueError: it names no two conditions that there are; the message lists them.
    """
    there = f"the conditions are: {', '.join(conditions)}"
    if ":" in contrast:
        splits = [tuple(contrast.split(":", 1))]
    else:
        splits = [(contrast[:i], contrast[i + 1 :]) for i, sign in enumerate(contrast) if sign == "-"]
    fitting = [(a, b) for a, b in splits if a in conditions and b in conditions and a != b]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(f"the contrast {contrast!r} can be split in {len(fitting)} ways: write it as A:B")
    raise ValueError(f"the contrast {contrast!r} does not name two different conditions as A-B or A:B; {there}")
