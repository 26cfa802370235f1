"""Records: the text in the text column of a record."""

from __future__ import annotations

from typing import Any

from toposheet.text.documents import Piece, SourceError


def document(value: Any, where: str, column: str) -> Piece:
    """Return the text of a record as a document. The value None gives an empty document.

    Args:
        value: The value of the text column in this record.
        where: File and line, for the message.
        column: Name of the text column, for the message.

    Raises:
        SourceError: The value is not text, or it cannot be written as UTF-8.
    """
    if not isinstance(value, str | None):
        kind = type(value).__name__
        raise SourceError(
            f"{where}: the column {column!r} holds {kind}, not text: name a column of text with --text-column"
        )
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{where}: not UTF-8 ({error.reason}): correct this record") from None
    return Piece(value or "", ends=True)


def no_column(where: str, column: str, fields: str) -> SourceError:
    """Return the error for a record that lacks the text column."""
    return SourceError(
        f"{where}: there is no column {column!r} (the columns are: {fields}): choose one with --text-column"
    )
