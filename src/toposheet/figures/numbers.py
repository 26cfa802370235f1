"""Numbers and readouts as text: zero has no minus sign, and a missing number is a dash."""

from __future__ import annotations

import math


def number(value: float, digits: int = 2) -> str:
    """Return a number as text, with `digits` digits after the point. nan becomes a dash."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """Return a number as text with its sign, + or -. nan becomes a dash."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:+.{digits}f}"


def readout_name(fwhm_mm: float, what: str = "readout ") -> str:
    """Return the name of a readout: `raw`, or `readout` with its width.

    Args:
        fwhm_mm: Full width at half maximum, in mm; 0 is raw.
        what: The word before the width.
    """
    return "raw" if fwhm_mm == 0 else f"{what}{fwhm_mm:g} mm"


def count_of_units(n_inside: int, n_units: int, what: str = "significant") -> str:
    """Return the number of outlined units of a map, in words: `12 of 2,560 units significant` or `no unit significant`.

    Args:
        n_inside: Number of units inside the outlines.
        n_units: Number of units of the map.
        what: The word for the units inside the outlines.
    """
    return f"{n_inside:,} of {n_units:,} units {what}" if n_inside else f"no unit {what}"
