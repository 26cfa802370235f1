"""Tables with declared columns. A table that is written and read again has the same values and types."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from toposheet.errors import NotFound, UserError, first_line
from toposheet.files import write_file

Kind = Literal["text", "number", "count", "flag"]
_DTYPES: dict[str, Any] = {"text": str, "number": np.float64, "count": np.int64, "flag": np.bool_}
_NEEDS_QUOTES = re.compile('[",\r\n]')


@dataclass(frozen=True, eq=False)
class Table:
    """The definition of a table of results: the name of its file and the kind of each column.

    The kinds are `text` (a string; also `0`, `007`, `nan` and `True` stay strings), `number` (a float; a missing number
    is nan), `count` (a whole number) and `flag` (True or False).

    Args:
        file: Name of the file.
        columns: The kind of each column, in order.
        description: What a row of the table is, in a few words.
        others: The kind of all columns that `columns` does not name. None: other columns are not allowed.

    Example:
        SIZES = Table("sizes.csv", {"model": "text", "n_units": "count"}, "a row for each model")
        SIZES.write(SIZES.frame([{"model": "007", "n_units": 3}]), folder)
        SIZES.read(folder)
    """

    file: str
    columns: Mapping[str, Kind]
    description: str
    others: Kind | None = None

    def frame(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """Return rows as a table with the declared columns and types.

        A missing number becomes nan, a missing text becomes empty, a missing count 0 and a missing flag False.

        Args:
            rows: A table, or one mapping for each row.
        """
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        others = [str(name) for name in frame.columns if name not in self.columns]
        assert self.others is not None or not others, f"{self.file} has no columns {others}"
        kinds: dict[str, Kind] = dict(self.columns)
        if self.others is not None:
            kinds |= dict.fromkeys(others, self.others)
        n = len(frame)
        return pd.DataFrame(
            {name: pd.Series(_as_kind(frame.get(name), kind, n), dtype=_DTYPES[kind]) for name, kind in kinds.items()},
            index=pd.RangeIndex(n),
        )

    def beside(self, **columns: Kind) -> Table:
        """Return a definition of the same table with more columns before the others."""
        return replace(self, columns={**columns, **self.columns})

    def write(self, frame: pd.DataFrame, folder: Path) -> None:
        """Write a table to its file. If an error occurs, the old file stays unchanged."""
        write_file(folder / self.file, self.as_csv(frame))

    def as_csv(self, frame: pd.DataFrame) -> str:
        """Return a table as CSV text. Numbers have enough digits to be read back without any change."""
        table = self.frame(frame)
        columns = [[str(name), *_as_strings(table[name])] for name in table.columns]
        return "".join(_line(row) for row in zip(*columns, strict=True))

    def read(self, folder: Path) -> pd.DataFrame:
        """Return the table from its file in a folder.

        Raises:
            NotFound: The file does not exist.
            UserError: The file is damaged, or a column is missing. The message names the file and the column.
        """
        path = folder / self.file
        if not path.is_file():
            raise NotFound(f"{folder} has no {self.file}: make the results again")
        try:
            frame = _read_csv(path)
        except (ValueError, csv.Error) as error:
            raise UserError(f"{path} cannot be read: {first_line(error)}; make the results again") from None
        if missing := [name for name in self.columns if name not in frame]:
            raise UserError(
                f"{path} has no column {', '.join(missing)}: it was made by another version; make the results again"
            )
        try:
            return self.frame(frame)
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path} is damaged: {first_line(error)}; make the results again") from None


def _as_strings(column: pd.Series) -> list[str]:
    """Return the values of a column as strings for a CSV file. nan becomes an empty string."""
    values = column.tolist()
    if column.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(value) for value in values]
    return [str(value) for value in values]


def _line(fields: Sequence[str]) -> str:
    """Return a line of a CSV file. Unlike Python's writer, it also quotes fields with a carriage return."""
    quoted = ['"' + field.replace('"', '""') + '"' if _NEEDS_QUOTES.search(field) else field for field in fields]
    return (",".join(quoted) or '""') + "\n"


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV file as a table of strings. The strings are not converted.

    Raises:
        ValueError: The file is empty, or a row does not have as many values as there are columns.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    if not rows:
        raise ValueError("the file is empty")
    names, *rows = rows
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} values, but there are {len(names)} columns")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame({name: pd.Series(values, dtype=str) for name, values in zip(names, columns, strict=True)})


def rows_with(table: pd.DataFrame, **values: str | float) -> pd.DataFrame:
    """Return the rows of a table that have these values.

    Args:
        table: The table.
        **values: The value of each column.
    """
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def _as_kind(column: pd.Series | None, kind: Kind, n: int) -> Any:
    """Return the values of a column, converted to its kind. Columns that were read from a file are strings."""
    if column is None:
        return [{"text": "", "number": np.nan, "count": 0, "flag": False}[kind]] * n
    if kind != "text" and column.dtype.kind in "biuf":
        return column.to_numpy(dtype=_DTYPES[kind])
    values = column.to_numpy(dtype=object)
    if kind == "text":
        return [value if isinstance(value, str) else "" if pd.isna(value) else str(value) for value in values]
    if kind == "number":
        return [np.nan if pd.isna(value) or value == "" else float(value) for value in values]
    return [int(value) if kind == "count" else _flag(value) for value in values]


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        if value not in ("True", "False"):
            raise ValueError(f"{value!r} must be True or False")
        return value == "True"
    return bool(value)
