"""Values by the names of their fields: in which of them two things differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return one `field: there, asked for` line for each field that differs.

    Args:
        stored: The values that are stored.
        asked: The values that are asked for. A field that one of the two lacks is None there.
    """
    names = dict.fromkeys((*stored, *asked))
    return [f"{n}: {stored.get(n)}, {asked.get(n)}" for n in names if stored.get(n) != asked.get(n)]
