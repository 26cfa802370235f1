"""The rows of a CSV file, cell by cell as they are written, or a refusal that names the row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from toposheet.errors import UserError
from toposheet.stimuli.labels import plain_label

_SEPARATORS = ";\t|"
_DOUBLED = 'put quotation marks around the whole cell, and write "" for one within it'


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header of a CSV file and its rows, which all have as many cells as the header.

    Empty lines at the end are no rows. A cell may go over several lines within quotation marks.

    Args:
        path: A file in UTF-8, separated by commas, with a header.

    Raises:
        UserError: the file could be read as another table than it is: by its encoding, its separators, its quotation
            marks, the number of cells of a row, or two columns of one name. The message names file and row (the header
            is row 1).
    """
    text = _decoded(path)
    line = text.partition("\n")[0]
    if not line.strip():
        raise UserError(f"{path} is not a CSV table: it begins with an empty row or has none")
    if "," not in line and (separator := next((sign for sign in _SEPARATORS if sign in line), None)):
        raise UserError(f"{path}, row 1: the columns are separated by {separator!r}: save the file with commas")
    rows = _checked(path, text)
    header = [plain_label(name) for name in next(rows)]
    if twice := [name for name, n in Counter(header).items() if name and n > 1]:
        raise UserError(f"{path}, row 1: {header.count(twice[0])} columns are called {twice[0]!r}: rename them")
    return header, list(rows)


def _decoded(path: Path) -> str:
    """Return the text of a file; lines end with a newline, on whichever system it was written."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = _with_one_line_end(error.object[: error.start].decode())  # less a byte-order mark
        row = re.sub(r'"[^"]*("|\Z)', "", before).count("\n") + 1  # a line end within quotes ends no row
        raise UserError(f"{path}, row {row}: not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        row = _with_one_line_end(text[: text.index("\0")]).count("\n") + 1
        raise UserError(f"{path}, row {row}: not UTF-8 text (it has NUL characters); save the file as UTF-8")
    return _with_one_line_end(text).rstrip()


def _with_one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _checked(path: Path, text: str) -> Iterator[list[str]]:
    """Yield the header and the rows of a table; an empty line is a row of empty cells."""
    rows, width, number = csv.reader(io.StringIO(text), strict=True), 0, 0
    while True:
        number += 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise UserError(
                f'{path}, row {number}: not a CSV table: a quotation mark (") opens a cell and does not close it at '
                f"its end: if it belongs to the text, {_DOUBLED}"
            ) from None
        width = width or len(row)
        row = row or [""] * width
        for column, cell in enumerate(row):
            _check_quotes(f"{path}, row {number}", cell, width - column, width - len(row[column + 1 :]))
        if len(row) != width:
            fields = f"{len(row)} {'field' if len(row) == 1 else 'fields'}"
            raise UserError(f"{path}, row {number}: {fields}, the header has {width}: {_advice(row, width)}")
        yield row


def _check_quotes(where: str, cell: str, left: int, right: int) -> None:
    """Refuse a cell that another habit of quoting has made.

    Args:
        where: File and row.
        cell: What was read.
        left: How many fields its first line must have to be a row together with the cells before it.
        right: How many its last line must have to be a row together with the cells behind it.
    """
    if '\\"' in cell:
        raise UserError(f'{where}: \\" is not how CSV writes a quotation mark: {_DOUBLED}')
    if re.match(r'\s+"', cell):
        raise UserError(f"{where}: a space stands before a quotation mark that opens a cell: remove the space")
    lines = cell.split("\n")
    if len(lines) > 1 and lines[0].count(",") + 1 >= left and lines[-1].count(",") + 1 >= right:
        raise UserError(
            f'{where}: a quotation mark (") opens a cell that goes over {len(lines)} lines, which look like rows. '
            f"If it belongs to the text, {_DOUBLED}; if not, write the text on one line"
        )


def _advice(row: list[str], width: int) -> str:
    if len(row) < width:
        return "write a comma for each empty cell"
    if any(sign in cell for cell in row for sign in "“”„«»"):
        return 'put quotation marks like " around a text with commas, not typographic ones'
    return "put quotes around a text with commas"
