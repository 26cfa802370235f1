"""Comparison of two sets of named values, for example of two recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return one text `field is STORED there, but REQUESTED now` for each field whose two values differ.

    Args:
        stored: The stored values, by the name of the field.
        asked: The requested values, by the name of the field. A field that is missing in one of the two counts as None
            there.
    """
    names = dict.fromkeys((*stored, *asked))
    return [f"{n} is {stored.get(n)} there, but {asked.get(n)} now" for n in names if stored.get(n) != asked.get(n)]
