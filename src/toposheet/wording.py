"""Numbers, counts and readouts in words: zero has no minus sign, and a missing number is a dash."""

from __future__ import annotations

import math
from collections.abc import Iterable


def number(value: float, digits: int = 2) -> str:
    """Return a number as text, with `digits` digits after the point. nan becomes a dash."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """Return a number as text with its sign, + or -. nan becomes a dash."""
    return "–" if math.isnan(value) else f"{round(float(value), digits) + 0.0:+.{digits}f}"


def mean_and_sd(mean: float, sd: float, digits: int = 2) -> str:
    """Return a mean and a standard deviation as text, `0.58 ± 0.05`. nan becomes one dash."""
    return "–" if math.isnan(mean) else f"{number(mean, digits)} ± {number(sd, digits)}"


def interval(low: float, high: float) -> str:
    """Return an interval, such as `0.12 to 0.34`. An undefined interval is `–`."""
    return "–" if math.isnan(low) else f"{number(low)} to {number(high)}"


def p_value(p: float) -> str:
    """Return a p as text with 3 digits, or `< 0.001`. nan becomes a dash."""
    return "< 0.001" if p < 0.001 else number(p, 3)


def equals_p(p: float, draws: int | None = None) -> str:
    """Return a p for a sentence: `p = 0.020` or `p < 0.001`.

    Args:
        p: The p.
        draws: Number of draws of its null. If p is the smallest that they can give, the sentence says so: `p = 0.01,
            the smallest possible with 99 draws`. None: p has no draws.
    """
    if draws is not None and math.isclose(p, 1 / (1 + draws)):
        return f"p = {p:.2g}, the smallest possible with {draws:,} draws"
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def readout_name(fwhm_mm: float, prefix: str = "readout ") -> str:
    """Return the name of a readout: `raw`, or `readout` with its width.

    Args:
        fwhm_mm: Full width at half maximum, in mm; 0 is raw.
        prefix: The word before the width, with a space.
    """
    return "raw" if fwhm_mm == 0 else f"{prefix}{fwhm_mm:g} mm"


def either(words: Iterable[str]) -> str:
    """Return words as alternatives: `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number of things in words: `1 cluster`, `25 clusters`.

    Args:
        n: The number of things.
        noun: The noun for one thing.
        plural: The noun for several things. Empty: `noun` with an s.
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def count_of_units(n: int, n_units: int, property_: str = "significant") -> str:
    """Return the number of units with a property, in words: `12 of 2,560 units are significant`.

    Args:
        n: Number of units with the property.
        n_units: Number of all units.
        property_: The adjective for these units.

    Returns:
        The words. Without such units they are `no unit is significant`.
    """
    return f"{n:,} of {n_units:,} units {'is' if n == 1 else 'are'} {property_}" if n else f"no unit is {property_}"
