"""Labels of conditions. Two labels that look the same in print are the same label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from toposheet.errors import UserError

# Characters without width: soft hyphen, zero-width space and joiners, direction marks, word joiner, byte-order mark.
_WITHOUT_WIDTH = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def plain_label(value: Any) -> str:
    """Return a label as a person reads it, without spaces around it and without characters that have no width.

    Each run of spaces inside the label becomes one ordinary space; this includes no-break spaces. Accented letters are
    written in one form (Unicode NFC).

    Example:
        plain_label("noun\N{NO-BREAK SPACE}")  # "noun"
    """
    written = unicodedata.normalize("NFC", str(value))
    return " ".join(_WITHOUT_WIDTH.sub("", written).split())


def check_capitals(labels: Iterable[str], what: str, where: str, asked: Iterable[str] | None = None) -> None:
    """Refuse labels that differ only in capital letters, such as `noun` and `Noun`. They are probably one label.

    Args:
        labels: All labels of a column.
        what: The name of the column, for the message.
        where: The name of the table, for the message.
        asked: The labels to check. None: all labels.

    Raises:
        UserError: Two labels differ only in capital letters. The message names both.
    """
    distinct = list(dict.fromkeys(labels))
    spellings: dict[str, list[str]] = {}
    for label in distinct:
        spellings.setdefault(label.casefold(), []).append(label)
    for label in distinct if asked is None else asked:
        alike = spellings.get(label.casefold(), [])
        if len(alike) > 1:
            first, second = alike[:2]
            raise UserError(
                f"{where} has {first!r} and {second!r} in the column {what!r}: they differ only in "
                "capital letters. Write both in the same way"
            )
