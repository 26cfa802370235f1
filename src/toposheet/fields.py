"""Values by the names of their fields: in which of them two things differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return one `field: ours, theirs` line for each field of `one` that has another value in `other`."""
    return [f"{name}: {value}, {other.get(name)}" for name, value in one.items() if value != other.get(name)]
