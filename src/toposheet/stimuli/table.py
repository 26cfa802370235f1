"""Stimulus sets: tables with a text and a condition in every row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from toposheet.errors import NotFound, UserError, check_type
from toposheet.stimuli.measures import with_groups

STIMULI_FILE = "stimuli.csv"  # of the folder of a model that brings its stimuli, or of a demo


def read_stimuli(path: str | Path, text_column: str = "text", condition_column: str = "condition") -> pd.DataFrame:
    """Return the stimuli of a CSV file, with columns `text`, `condition` and whatever else it has.

    Files in the formats in which the localizer of Fedorenko et al. (2010), sentences, word lists, Jabberwocky and
    non-words (2011), the words of Moseley & Pulvermüller (2014) and the pairs of Elli et al. (2019) are passed on are
    read as they are.

    Args:
        path: A CSV file with a header, in UTF-8.
        text_column: Its column that holds the texts. The formats of published stimuli need neither.
        condition_column: Its column that holds the conditions.

    Raises:
        NotFound: there is no such file.
        UserError: a column is missing or there twice, a row has no text or no condition, the file is empty or not a
            CSV in UTF-8; the message names file and row (the header is row 1).
    """
    check_type("path", path, (str, Path), "the path of a CSV file")
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a CSV file")
    if not path.is_file():
        raise NotFound(f"there is no stimulus file {path}")
    if text_column == condition_column:
        raise UserError(f"text and condition cannot both be the column {text_column!r}: name two")
    content = path.read_bytes()
    try:
        decoded = _with_one_line_end(content.decode("utf-8-sig")).rstrip()
    except UnicodeDecodeError as error:
        before = _with_one_line_end(error.object[: error.start].decode())  # less a byte-order mark
        row = re.sub(r'"[^"]*("|\Z)', "", before).count("\n") + 1  # a line end within quotes ends no row
        raise UserError(f"{path}, row {row}: not UTF-8; save the file as UTF-8") from None
    _check_rows(path, decoded)
    words = dict.fromkeys((*_WORDS, text_column, condition_column), str)  # 007 is no number
    try:
        table = pd.read_csv(
            io.StringIO(decoded), keep_default_na=False, index_col=False, skip_blank_lines=False, dtype=words
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a CSV table: {str(error).strip()}") from None
    known = _from_published_format(table) if {text_column, condition_column} == {"text", "condition"} else None
    if known is not None:
        table = known
    for column in (text_column, condition_column):
        if column not in table:
            raise UserError(f"{path} has no column {column!r}; it has: {', '.join(map(str, table.columns))}")
        table[column] = table[column].astype(str)
        empty = table[column].str.strip() == ""
        if empty.any():
            raise UserError(f"{path}, row {int(empty.to_numpy().argmax()) + 2}: {column!r} is empty")
    if table.empty:
        raise UserError(f"{path} has a header but no stimuli")
    clash = {"text", "condition"} - {text_column, condition_column}
    table = table.drop(columns=[c for c in clash if c in table])
    table = table.rename(columns={text_column: "text", condition_column: "condition"})
    table.attrs["source"] = str(path)
    return table


def _with_one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_WORDS = ("text", "condition", "sentence", "word", "class", "category", "pair")


def _check_rows(path: Path, decoded: str) -> None:
    """Refuse what would be read as another table than it is: other separators, two columns of a name, wide rows."""
    rows = csv.reader(io.StringIO(decoded))
    try:
        header = next(rows, [])
        if not header:
            raise UserError(f"{path} is not a CSV table: it begins with an empty row or has none")
        if len(header) == 1 and (separator := next((sign for sign in ";\t" if sign in header[0]), None)):
            raise UserError(f"{path}, row 1: the columns are separated by {separator!r}: save the file with commas")
        if twice := [name for name, n in Counter(header).items() if name and n > 1]:
            raise UserError(f"{path}, row 1: {header.count(twice[0])} columns are called {twice[0]!r}: rename them")
        for number, row in enumerate(rows, 2):
            if len(row) > len(header):  # a comma without quotes, which would move every column
                raise UserError(
                    f"{path}, row {number}: {len(row)} fields, the header has {len(header)}: put quotes around a text "
                    "with commas"
                )
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV table: {error}") from None


def _from_published_format(table: pd.DataFrame) -> pd.DataFrame | None:
    """Return a table in one of the formats that published stimuli come in as `text` and `condition`, or none.

    Fedorenko et al. 2010: words in stim2 to stim13, in capitals, S or N in stim14; Fedorenko et al. 2011: sentence,
    condition; Moseley & Pulvermüller 2014: word, class, category; Elli et al. 2019: run, block, class, category, pair.
    """
    columns = set(table.columns)
    if {"text", "condition"} <= columns:
        return None
    if {f"stim{n}" for n in range(1, 15)} <= columns:
        words = table[[f"stim{n}" for n in range(2, 14)]].astype(str)
        text = words.agg(lambda row: " ".join(row).lower(), axis=1)
        return pd.DataFrame({"text": text, "condition": table["stim14"]})
    for text_column, condition_column in (("sentence", "condition"), ("word", "class"), ("pair", "class")):
        if {text_column, condition_column} <= columns:
            kept = [c for c in table if c not in (text_column, condition_column) and not str(c).startswith("Unnamed")]
            read = pd.DataFrame({"text": table[text_column], "condition": table[condition_column]}).join(table[kept])
            return with_groups(read) if text_column == "pair" and len(read) else read
    return None
