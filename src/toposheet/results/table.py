"""Tables that know their columns: what is written is what is read, whatever names look like."""

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
    """What a table of results is: its file, and the kind of each of its columns.

    A column is `text` (a string, whatever it looks like: `0`, `007`, `nan`, `True`), `number` (a float, nan where there
    is none), `count` (a whole number) or `flag` (True or False).

    Args:
        file: The name of its file.
        columns: The kind of each column, in order.
        description: What a row is, in a sentence.
        others: The kind of columns that are not named. None: there are no others.

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
        """Return rows as a table with these columns, each of its kind; a number that a row lacks is nan, a text empty.

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
        """Return the same table with more columns in front."""
        return replace(self, columns={**columns, **self.columns})

    def write(self, frame: pd.DataFrame, folder: Path) -> None:
        """Write a table to its file, whole or not at all."""
        write_file(folder / self.file, self.as_csv(frame))

    def as_csv(self, frame: pd.DataFrame) -> str:
        """Return a table as the text of its file. Numbers are written so that they are read back to the last bit."""
        table = self.frame(frame)
        columns = [[str(name), *_as_strings(table[name])] for name in table.columns]
        return "".join(_line(row) for row in zip(*columns, strict=True))

    def read(self, folder: Path) -> pd.DataFrame:
        """Return the table of a folder, as it was written.

        Raises:
            NotFound: there is no such file.
            UserError: it is another table; the message names the file and what it lacks.
        """
        path = folder / self.file
        if not path.is_file():
            raise NotFound(f"{folder} has no {self.file}: make the results again")
        try:
            frame = _read_csv(path)
        except (ValueError, csv.Error) as error:
            raise UserError(f"{path} cannot be read: {first_line(error)}") from None
        if missing := [name for name in self.columns if name not in frame]:
            raise UserError(f"{path} lacks the columns {', '.join(missing)}: it was made by another version")
        try:
            return self.frame(frame)
        except (ValueError, OverflowError) as error:
            raise UserError(f"{path} is damaged: {first_line(error)}") from None


def _as_strings(column: pd.Series) -> list[str]:
    """Return the values of a column as they stand in a file; nan is nothing."""
    values = column.tolist()
    if column.dtype.kind == "f":
        return ["" if np.isnan(value) else repr(value) for value in values]
    return [str(value) for value in values]


def _line(fields: Sequence[str]) -> str:
    """Return a line of a CSV file. A field with a carriage return is quoted too, unlike those of Python's writer."""
    quoted = ['"' + field.replace('"', '""') + '"' if _NEEDS_QUOTES.search(field) else field for field in fields]
    return (",".join(quoted) or '""') + "\n"


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV file as a table of strings, every one as it was written.

    Raises:
        ValueError: it is empty, or a line has not as many values as there are columns.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    if not rows:
        raise ValueError("it is empty")
    names, *rows = rows
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} values, there are {len(names)} columns")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame({name: pd.Series(values, dtype=str) for name, values in zip(names, columns, strict=True)})


def _as_kind(column: pd.Series | None, kind: Kind, n: int) -> Any:
    """Return the values of a column as its kind has them; columns read from a file come as strings."""
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
            raise ValueError(f"{value!r} is neither True nor False")
        return value == "True"
    return bool(value)
