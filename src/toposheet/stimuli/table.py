"""Reading stimuli from CSV files: tables with a text and a condition in every row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.stimuli.labels import letters_like_latin, plain_label
from toposheet.stimuli.measures import with_groups
from toposheet.stimuli.naming import check_column, row_name
from toposheet.stimuli.rows import read_rows

STIMULI_FILE = "stimuli.csv"  # in the folder of a demo, or of a model with which stimuli are saved


def read_stimuli(path: str | Path, text_column: str = "text", condition_column: str = "condition") -> pd.DataFrame:
    """Return the stimuli of a CSV file, with the columns `text` and `condition` and all other columns of the file.

    The formats of four published sets are recognised by their columns: the localizer of Fedorenko et al. (2010), the
    sentences, word lists, Jabberwocky and non-words of Fedorenko et al. (2011), the words of Moseley & Pulvermüller
    (2014), and the pairs of Elli et al. (2019).

    Texts and conditions are always read as text: `007`, `TRUE`, `NA` and `nan` are words. Another column becomes
    numbers or truth values only if every cell is written as Python prints them (`3`, `0.5`, `True`); a column with
    `01`, `TRUE` or `1e3` stays text. Spaces around column names and cells are removed (`plain_label`), except in texts.

    If the conditions are read from another column, and the file also has a column `condition`, that column is called
    `file_condition` in the table. A column `text` that does not hold the texts is called `file_text`.

    Args:
        path: A CSV file in UTF-8, with commas as separators and with a header. `~` means the home folder.
        text_column: Name of the column that holds the texts. It is not needed for the formats of published sets.
        condition_column: Name of the column that holds the conditions. It is not needed for the formats of published
            sets.

    Returns:
        The table. `attrs["source"]` is the path of the file. `attrs["notes"]` holds notes on how the file was read.
        `attrs["renamed"]` is a dict from the name of a column in the file to its name in the table, for each column
        whose name differs.

    Raises:
        NotFound: The file does not exist.
        UserError: A column is missing, or two columns have the same name. Or a row has no text or no condition. Or the
            file is empty, is not in UTF-8, or might be read wrongly (because of its quotation marks, separators or
            rows). The message names the file and the row (the header is row 1).
    """
    check_type("path", path, (str, Path), "the path of a CSV file")
    if "://" in str(path) or re.match("https?:/", str(path)):  # a Path has one slash
        raise UserError(f"{path} is an address, not a file: download the file first, and give its path")
    path = path_of(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a CSV file")
    if path.exists() and not path.is_file():
        raise UserError(
            f"{path} is a pipe or a device, not a regular file: save the table in a file, and give its path"
        )
    if not path.is_file():
        raise NotFound(f"there is no stimulus file {path}: check the path")
    text_column, condition_column = plain_label(text_column), plain_label(condition_column)
    if text_column == condition_column:
        raise UserError(f"the column {text_column!r} is given for both texts and conditions: give two columns")
    written, rows = read_rows(path)
    header = [plain_label(name) for name in written]
    names = _names(header)
    texts = {*_TEXTS, text_column} - {condition_column}
    table, notes = _table(names, rows, texts, {*_LABELS, condition_column})
    if changed := [name for name, cell in zip(header, written, strict=True) if name != cell]:
        notes.insert(
            0,
            f"the column names {', '.join(changed)} had extra spaces, invisible characters, or other forms of letters, "
            "hyphens or apostrophes, which were replaced",
        )
    table.attrs["source"] = str(path)
    if {text_column, condition_column} == _NAMED and (known := _from_published_format(table)) is not None:
        table, format_name = known
        table.attrs["source"] = str(path)
        notes.append(f"the file has the columns of {format_name}, and is read in that format")
    no_header = ""
    if not {text_column, condition_column} & set(table.columns):
        no_header = ". If row 1 of the file is a text, the header is missing: add a row with the names of the columns"
    for column, option in ((text_column, "text-column"), (condition_column, "condition-column")):
        what = f"the {option.partition('-')[0]}s with --{option} (in Python {option.replace('-', '_')}=)"
        check_column(table, column, f" Name the column that holds {what}{no_header}")
        empty = (table[column].map(plain_label) == "").to_numpy()
        if empty.any():
            row = row_name(table, int(empty.argmax()))
            raise UserError(f"{path}, {row}: the column {column!r} is empty: fill it in, or remove the row")
    if table.empty:
        raise UserError(f"{path} has a header but no stimuli: add a row for each text")
    chosen = {text_column: "text", condition_column: "condition"}
    renamed = {old: new for old, new in chosen.items() if old != new}
    for column, source in (("text", text_column), ("condition", condition_column)):
        if column in table and column not in chosen:
            renamed[column] = kept = f"file_{column}"
            if kept in table:
                raise UserError(f"{path} has the columns {column!r} and {kept!r}: rename both")
            notes.append(
                f"the column {column!r} is called {kept!r} in the table, because the {column}s are in {source!r}"
            )
    table = table.rename(columns=renamed)
    if quoted := sum(_in_quotation_marks(text) for text in table["text"]):
        notes.append(
            f"{quoted} of {len(table)} texts stand in quotation marks that CSV does not remove ('...' or “...”): they "
            "are part of the texts"
        )
    for condition in table["condition"].unique():
        if letters := letters_like_latin(condition):
            names = " and ".join(unicodedata.name(letter) for letter in letters)
            notes.append(
                f"the condition {condition!r} has {names} among Latin letters: it is another condition than the same "
                "word in Latin letters, although both look the same"
            )
    table.attrs |= {"notes": tuple(notes), "renamed": table.attrs.get("renamed", {}) | renamed}
    return table


_NAMED = {"text", "condition"}
_STIM = tuple(f"stim{n}" for n in range(1, 15))
_TEXTS = ("text", "sentence", "word", "pair", *_STIM[1:13])
_LABELS = ("condition", "class", "category", _STIM[13])


def _in_quotation_marks(text: object) -> bool:
    """Return whether a text begins and ends with quotation marks of a kind that belongs to the text in a CSV file."""
    pairs = ("''", "‘’", "“”", "„“", "«»", "``")
    stripped = str(text).strip()
    return len(stripped) > 1 and stripped[0] + stripped[-1] in pairs


def _names(header: Sequence[str]) -> list[str]:
    """Return a different name for each column. A column without a name gets its place as a name: `Unnamed: 0`.

    If another column of the file has this name already, a number is added: `Unnamed: 0 (2)`.
    """
    names = list(header)
    for place, name in enumerate(header):
        if not name:
            free = (f"Unnamed: {place}{f' ({n})' if n > 1 else ''}" for n in count(1))
            names[place] = next(name for name in free if name not in names)
    return names


def _table(
    names: Sequence[str], rows: Sequence[Sequence[str]], texts: set[str], labels: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows as a table, and a note for each column in which cells were not written plainly.

    Args:
        names: Names of the columns.
        rows: The cells, as they are written in the file.
        texts: Names of columns that stay unchanged.
        labels: Names of columns that stay text even if all cells look like numbers.
    """
    columns: dict[str, Any] = {}
    notes = []
    for place, name in enumerate(names):
        written = [row[place] for row in rows]
        cells = written if name in texts else [plain_label(cell) for cell in written]
        if changed := [row for row, (a, b) in enumerate(zip(written, cells, strict=True), 2) if a != b]:
            n = "1 cell" if len(changed) == 1 else f"{len(changed)} cells"
            notes.append(
                f"{n} of the column {name!r} had extra spaces, invisible characters, or other forms of letters, "
                f"hyphens or apostrophes, e.g. row {changed[0]}"
            )
        values = None if name in texts | labels else _numbers(cells)
        columns[name] = pd.Series(cells, dtype=str) if values is None else values
    return pd.DataFrame(columns, columns=list(names), index=range(len(rows))), notes


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return the cells as numbers or truth values if all of them are written as in Python. Otherwise return None."""
    if set(cells) <= {"True", "False"}:
        return np.array([cell == "True" for cell in cells], dtype=bool)
    for kind, dtype in ((int, np.int64), (float, np.float64)):
        try:
            values = np.array([kind(cell) for cell in cells], dtype=dtype)
        except (ValueError, OverflowError):
            continue
        if np.isfinite(values).all() and [str(value) for value in values.tolist()] == list(cells):
            return values
    return None


def _from_published_format(table: pd.DataFrame) -> tuple[pd.DataFrame, str] | None:
    """Return a table with the columns `text` and `condition`, if the given table has the format of a published set.

    The columns of the formats: Fedorenko et al. 2010: words in stim2 to stim13, in capitals, and S or N in stim14.
    Fedorenko et al. 2011: sentence, condition. Moseley & Pulvermüller 2014: word, class, category. Elli et al. 2019:
    run, block, class, category, pair.

    Returns:
        The table and the name of its format. None if the table has none of these formats.
    """
    columns = set(table.columns)
    if columns >= _NAMED:
        return None
    if set(_STIM) <= columns:
        words = table[list(_STIM[1:13])].astype(str)
        text = words.agg(lambda row: " ".join(row).lower(), axis=1)
        kept = [c for c in table if c not in _STIM and not str(c).startswith("Unnamed")]
        read = pd.DataFrame({"text": text, "condition": table[_STIM[13]]}).join(table[kept])
        read.attrs["renamed"] = {_STIM[13]: "condition"}
        return read, "Fedorenko et al. 2010"
    for text_column, condition_column, format_name in (
        ("sentence", "condition", "Fedorenko et al. 2011"),
        ("word", "class", "Moseley & Pulvermüller 2014"),
        ("pair", "class", "Elli et al. 2019"),
    ):
        if {text_column, condition_column} <= columns and not _NAMED & columns - {text_column, condition_column}:
            kept = [c for c in table if c not in (text_column, condition_column) and not str(c).startswith("Unnamed")]
            read = pd.DataFrame({"text": table[text_column], "condition": table[condition_column]}).join(table[kept])
            read = with_groups(read) if text_column == "pair" and len(read) else read
            chosen = {text_column: "text", condition_column: "condition"}
            read.attrs["renamed"] = {old: new for old, new in chosen.items() if old != new}
            return read, f"{format_name} ({text_column!r} is the text, {condition_column!r} the condition)"
    return None
