"""The error of a file that cannot be imported, and values from such files in messages."""

from __future__ import annotations

from typing import Any

from toposheet.errors import UserError


class Unreadable(UserError):
    """A file is damaged, or holds something that its format does not have. The message begins with a verb."""


def shown(value: Any) -> str:
    """Return a value from a file as a short text for a message.

    `str` and `repr` of such a value may recurse too deeply or never end: a list may hold the same list ten times, and
    so on.

    Args:
        value: Any value.

    Returns:
        Truth values, short numbers and short shapes as they are, the beginning of texts in quotes, and else the type.
    """
    if value is None or type(value) in (bool, float):
        return str(value)
    if type(value) is int:
        return str(value) if value.bit_length() <= 64 else f"a number of {value.bit_length():,} bits"
    if type(value) is str:
        return repr(value[:80])
    if type(value) is tuple and len(value) <= 8 and all(type(n) is int for n in value):
        return f"({', '.join(map(shown, value))}{',' * (len(value) == 1)})"
    return f"a value of type {type(value).__name__}"
