"""Labels of conditions. Two labels that look the same in print are the same label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from toposheet.errors import UserError

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
"""Characters that Unicode says not to show (Default_Ignorable_Code_Point), apart from those of the category Cf."""


def plain_label(value: Any) -> str:
    """Return a label as a person reads it. Two labels that look the same become the same text.

    Spaces around the label, invisible characters and control characters are removed. Each run of spaces inside the
    label becomes one ordinary space; this includes no-break spaces. The hyphens U+2010 and U+2011 become `-`.
    Full-width and half-width characters get their usual width. Accented letters are written in one form (Unicode NFC).

    Example:
        plain_label("noun\N{NO-BREAK SPACE}")  # "noun"
    """
    plain = "".join(map(_plain_character, str(value)))
    return " ".join(unicodedata.normalize("NFC", plain).split())


def _plain_character(character: str) -> str:
    """Return what is written for a character. Empty: nothing."""
    if character.isspace() or character == "\u2800":  # an empty Braille cell looks like a space
        return " "
    if character in "\u2010\u2011":
        return "-"
    if unicodedata.category(character) in ("Cf", "Cc") or _INVISIBLE.match(character):
        return ""
    kind, *usual = unicodedata.decomposition(character).split() or [""]
    return "".join(chr(int(code, 16)) for code in usual) if kind in ("<wide>", "<narrow>") else character


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
