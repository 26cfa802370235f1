"""Labels, as people read them: two that look alike on paper are one label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from toposheet.errors import UserError

# Characters without width: soft hyphen, zero-width space and joiners, direction marks, word joiner, byte-order mark.
_WITHOUT_WIDTH = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def plain_label(value: Any) -> str:
    """Return a label without what nobody sees: spaces around it, no-break spaces, characters without width.

    Spaces within it become one ordinary space each, and accents are written in one way (NFC).

    Example:
        plain_label("noun\N{NO-BREAK SPACE}")  # "noun"
    """
    written = unicodedata.normalize("NFC", str(value))
    return " ".join(_WITHOUT_WIDTH.sub("", written).split())


def check_capitals(labels: Iterable[str], what: str, where: str, asked: Iterable[str] | None = None) -> None:
    """Refuse labels that differ only in capitals, as `noun` and `Noun`: they are meant to be one.

    Args:
        labels: All labels of a column.
        what: The name of the column, for the message.
        where: What has the column, for the message.
        asked: The labels that count. None: all.

    Raises:
        UserError: two labels differ only in capitals; names both.
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
                f"{where} has {first!r} and {second!r} in the column {what!r}: they differ only in capitals. "
                "Write them alike"
            )
