"""Numbers and readouts as they are read: no minus before a zero, a dash for what is missing."""

from __future__ import annotations

import math


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many digits."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:+.{digits}f}"


def readout_name(fwhm_mm: float, what: str = "readout ") -> str:
    """Return what maps of a readout are called: `raw`, or the width of the readout.

    Args:
        fwhm_mm: Full width at half maximum in millimetres; 0 is raw.
        what: Written before the width.
    """
    return "raw" if fwhm_mm == 0 else f"{what}{fwhm_mm:g} mm"


def count_of_units(n_inside: int, n_units: int, what: str = "significant") -> str:
    """Return in words how many units a map outlines, or that it outlines none.

    Args:
        n_inside: Units inside the outlines.
        n_units: Units of the map.
        what: What the units inside are.
    """
    return f"{n_inside:,} of {n_units:,} units {what}" if n_inside else f"no unit {what}"
