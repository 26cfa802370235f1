"""Reading CSV files strictly: cells are returned as they are written, and a doubtful row is an error that names it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from toposheet.errors import UserError
from toposheet.stimuli.labels import plain_label

_SEPARATORS = ";\t|"
_QUOTED = re.compile(r"\s*(‘.*’|'.+'|“.*”|„.*[“”]|«.*»)\s*")
_DOUBLED = 'put quotation marks around the whole cell, and write "" for a quotation mark in the cell'


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file, as written. Every row has as many cells as the header.

    Empty lines at the end of the file are ignored. A cell in quotation marks may contain line breaks.

    Args:
        path: A CSV file in UTF-8, with commas as separators and with a header.

    Raises:
        UserError: The file is JSON, or it might be read wrongly, because of its encoding, its separators, its quotation
            marks, the number of cells in a row, a row that repeats the header, or two columns with the same name. The
            message names the file and the row (the header is row 1).
    """
    text = _decoded(path)
    line = text.partition("\n")[0]
    if not line.strip():
        raise UserError(f"{path} is not a CSV table: its first row is empty, but it must be the header")
    if _is_json(text):
        lines = ", lines=True" if line.lstrip().startswith("{") and _is_json(line) else ""
        raise UserError(
            f"{path} is JSON, not a CSV table: save the texts as CSV. In Python: "
            f"pandas.read_json(path{lines}).to_csv('new.csv', index=False)"
        )
    if re.fullmatch(r"\s*\"?sep=.?\"?\s*", line, re.IGNORECASE):
        raise UserError(f"{path}, row 1: {line.strip()!r} is a line for Excel and no header: remove this line")
    if "," not in line and (separator := next((sign for sign in _SEPARATORS if sign in line), None)):
        raise UserError(
            f"{path}, row 1: the columns are separated by {separator!r}: save the file with commas. "
            f"In Excel: save as 'CSV UTF-8 (comma delimited)'. In Python: pandas.read_csv(path, sep={separator!r})"
            ".to_csv(path, index=False)"
        )
    with _cells_of_any_length(text):
        names, *rows = _checked(path, text)
    header = [plain_label(name) for name in names]
    if quoted := [name for name in names if _QUOTED.fullmatch(name)]:
        raise UserError(
            f"{path}, row 1: the column name {quoted[0].strip()} is in quotation marks that CSV does not remove: write "
            f'it without quotation marks, or with straight double ones (")'
        )
    if twice := [name for name, n in Counter(header).items() if name and n > 1]:
        raise UserError(
            f"{path}, row 1: {header.count(twice[0])} columns have the name {twice[0]!r}: rename all but one"
        )
    for number, row in enumerate(rows, 2):
        if [plain_label(cell) for cell in row] == header:
            raise UserError(f"{path}, row {number}: this row repeats the header: remove this row")
    return names, rows


def _is_json(text: str) -> bool:
    """Return whether a text is a JSON object or list, or begins with a line that is one (JSON lines)."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    for part in (text, text.partition("\n")[0]):
        try:
            json.loads(part)
        except ValueError:
            continue
        return True
    return False


@contextmanager
def _cells_of_any_length(text: str) -> Generator[None, None, None]:
    """Let `csv` read cells that are as long as the text. Its default limit is 131,072 characters."""
    before = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _decoded(path: Path) -> str:
    """Return the text of a file. Line ends of every operating system become newlines."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK")):
            raise UserError(
                f"{path} is compressed or a workbook, and not a CSV table: save it as CSV in UTF-8"
            ) from None
        before = _with_one_line_end(error.object[: error.start].decode())  # without a byte-order mark
        # A line break inside quotation marks does not end a row.
        row = re.sub(r'"[^"]*("|\Z)', "", before).count("\n") + 1
        raise UserError(f"{path}, row {row}: not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        row = _with_one_line_end(text[: text.index("\0")]).count("\n") + 1
        raise UserError(f"{path}, row {row}: not UTF-8 text (it has NUL characters); save the file as UTF-8")
    text = _with_one_line_end(text)
    end = text.find("\n", len(text.rstrip()))  # spaces before this line end may belong to the last text
    return text if end < 0 else text[:end]


def _with_one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _checked(path: Path, text: str) -> Iterator[list[str]]:
    """Yield the header and the rows of a table. An empty line becomes a row of empty cells."""
    rows, width, number = csv.reader(io.StringIO(text), strict=True), 0, 0
    while True:
        number += 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if not re.search("unexpected end of data|expected after", str(error)):
                raise UserError(f"{path}, row {number}: not a CSV table ({error}): correct this row") from None
            if "expected after" in str(error):
                raise UserError(
                    f'{path}, row {number}: not a CSV table: a closing quotation mark (") is followed by a space or '
                    f"another character: remove this character. If the quotation mark belongs to the text, {_DOUBLED}"
                ) from None
            raise UserError(
                f'{path}, row {number}: not a CSV table: a cell begins with a quotation mark (") but does not end with '
                f"one. If the quotation mark belongs to the text, {_DOUBLED}"
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
    """Refuse a cell that was probably written with other rules for quotation marks than those of CSV.

    Args:
        where: File and row, for the message.
        cell: The content of the cell.
        left: Number of fields from this cell to the end of a complete row. If the first line of the cell has at least
            this number of fields, the line looks like the end of a row.
        right: Number of fields from the start of a complete row to this cell. If the last line of the cell has at least
            this number of fields, the line looks like the start of a row.
    """
    if '\\"' in cell:
        raise UserError(f'{where}: \\" is not a quotation mark in CSV: {_DOUBLED}')
    if re.match(r'\s+"', cell):
        raise UserError(f"{where}: a cell begins with a space before its quotation mark: remove the space")
    lines = cell.split("\n")
    if len(lines) > 1 and lines[0].count(",") + 1 >= left and lines[-1].count(",") + 1 >= right:
        raise UserError(
            f'{where}: a cell begins with a quotation mark (") and has {len(lines)} lines, which look like rows. If '
            f"the quotation mark belongs to the text, {_DOUBLED}; if not, write the text on one line"
        )


def _advice(row: list[str], width: int) -> str:
    if len(row) < width:
        return "write a comma for each empty cell"
    if any(sign in cell for cell in row for sign in "“”„«»"):
        return 'put straight quotation marks (") around a text with commas, not curly ones'
    return 'put quotation marks (") around a text with commas'
