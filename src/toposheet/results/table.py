"""Tables that know their columns: what is written is what is read, whatever names look like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from toposheet.errors import NotFound, UserError
from toposheet.files import write_file
from toposheet.hub import first_line

Kind = Literal["text", "number", "count", "flag"]
_DTYPES: dict[str, Any] = {"text": object, "number": np.float64, "count": np.int64, "flag": np.bool_}


@dataclass(frozen=True, eq=False)
class Table:
    """What a table of results is: its file, and the kind of each of its columns.

    A column is `text` (a string, whatever it looks like: `0`, `007`, `nan`, `True`), `number` (a float, nan where there
    is none), `count` (a whole number) or `flag` (True or False).

    Args:
        file: The name of its file.
        columns: The kind of each column, in order.
        what: What a row is, in a sentence.
        others: The kind of columns that are not named. None: there are no others.

    Example:
        SIZES = Table("sizes.csv", {"model": "text", "n_units": "count"}, "a row for each model")
        SIZES.write(SIZES.frame([{"model": "007", "n_units": 3}]), folder)
        SIZES.read(folder)
    """

    file: str
    columns: Mapping[str, Kind]
    what: str
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
            {name: _of_kind(frame.get(name), kind, n) for name, kind in kinds.items()},
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
        stream = io.StringIO()
        self.frame(frame).to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        return stream.getvalue()

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
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8")
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {first_line(error)}") from None
        if missing := [name for name in self.columns if name not in frame]:
            raise UserError(f"{path} lacks the columns {', '.join(missing)}: it was made by another version")
        try:
            return self.frame(frame)
        except ValueError as error:
            raise UserError(f"{path} is damaged: {first_line(error)}") from None


def _of_kind(column: pd.Series | None, kind: Kind, n: int) -> np.ndarray:
    """Return a column as an array of its kind; columns read from a file come as strings."""
    if column is None:
        return np.full(n, np.nan) if kind == "number" else np.full(n, "" if kind == "text" else 0, _DTYPES[kind])
    if kind != "text" and column.dtype.kind in "biuf":
        return column.to_numpy(dtype=_DTYPES[kind])
    values = column.to_numpy(dtype=object)
    if kind == "text":
        strings = [value if isinstance(value, str) else "" if _missing(value) else str(value) for value in values]
        return np.array(strings, dtype=object)
    if kind == "number":
        return np.array([np.nan if _missing(value) or value == "" else float(value) for value in values], dtype=float)
    if kind == "count":
        return np.array([int(value) for value in values], dtype=np.int64)
    return np.array([_flag(value) for value in values], dtype=bool)


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        if value not in ("True", "False"):
            raise ValueError(f"{value!r} is neither True nor False")
        return value == "True"
    return bool(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
