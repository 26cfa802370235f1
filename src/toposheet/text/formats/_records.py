"""Records: the column of each that has its text."""

from __future__ import annotations

from typing import Any

from toposheet.text.documents import Piece, SourceError


def document(value: Any, where: str, column: str) -> Piece:
    """Return the text of a record as a document; None counts as empty.

    Args:
        value: What the record has in the column.
        where: File and line, for the message.
        column: Its name.

    Raises:
        SourceError: the value is no text, or one that cannot be written as UTF-8.
    """
    if not isinstance(value, str | None):
        raise SourceError(f"{where}: {column!r} is no text but {type(value).__name__}; choose with --text-column")
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{where}: not UTF-8 ({error.reason})") from None
    return Piece(value or "", ends=True)


def no_column(where: str, column: str, fields: str) -> SourceError:
    """Return the error that a record lacks the column with its text."""
    return SourceError(f"{where}: there is no column {column!r} but {fields}; choose one with --text-column")
