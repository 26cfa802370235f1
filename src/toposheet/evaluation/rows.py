"""Rows of data files: JSON lines, Parquet, CSV and TSV. Every row comes with its file and line, for error messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toposheet.errors import UserError, first_line
from toposheet.packages import import_package

FORMATS = (".parquet", ".jsonl", ".csv", ".tsv")


def rows(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a file, each with its name for error messages, such as `pairs.jsonl, line 3`.

    A row of a CSV or TSV file is a dict of texts. Its first line names the columns.

    Args:
        file: The file. Its ending says the format (`FORMATS`); a file with another ending is read as JSON lines.

    Raises:
        UserError: The file cannot be read. The message names the line.
    """
    if file.suffix == ".parquet":
        yield from _of_parquet(file)
    elif file.suffix in (".csv", ".tsv"):
        yield from _of_csv(file)
    else:
        yield from _of_jsonl(file)


def _of_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    parquet = import_package("pyarrow.parquet", "files of the hub need", "toposheet[data]")
    try:
        table = parquet.read_table(file).to_pylist()
    except Exception as error:  # pyarrow raises many kinds
        raise UserError(f"{file} cannot be read: {first_line(error)}; copy the file again") from None
    yield from ((f"{file}, row {number}", row) for number, row in enumerate(table, 1))


def _of_jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_text(file).split("\n"), 1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                yield where, json.loads(line)
            except ValueError as error:
                raise UserError(f"{where} is no JSON: {first_line(error)}; correct the line") from None


def _of_csv(file: Path) -> Iterator[tuple[str, Any]]:
    lines = io.StringIO(_text(file), newline="")
    reader = csv.reader(lines, "excel-tab" if file.suffix == ".tsv" else "excel", strict=True)
    names: list[str] | None = None
    while True:
        where = f"{file}, line {reader.line_num + 1}"
        try:
            values = next(reader, None)
        except csv.Error as error:
            advice = "separate values by commas (in .tsv by tabs), and put quotes around texts that hold one"
            raise UserError(f"{where} cannot be read: {error}; {advice}") from None
        if values is None:
            return
        if names is None:
            names = values
        elif values:
            if len(values) != len(names):
                raise UserError(f"{where} has {len(values)} values, but there are {len(names)} columns: correct it")
            yield where, dict(zip(names, values, strict=True))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no UTF-8 text: {first_line(error)}; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {first_line(error)}; give a file that can be read") from None
