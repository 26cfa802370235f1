"""Numbers as they are read: no minus before a zero, a dash for what is missing."""

from __future__ import annotations

import math


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many digits."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:+.{digits}f}"
