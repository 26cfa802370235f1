"""A comparison as a figure."""

from __future__ import annotations

from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.figures.network import outlined_maps
from toposheet.figures.numbers import count_of_units
from toposheet.sheet import on_sheets


def plot(comparison: Comparison, fwhm_mm: float = 0.0) -> Figure:
    """Return the maps of a comparison, sheet by sheet: Welch's t in colour, significant units outlined and counted.

    Args:
        comparison: The comparison.
        fwhm_mm: Readout in millimetres; 0 is raw.

    Example:
        ts.plot(ts.Comparison(responses, "sentence", "nonword")).savefig("map.png")
    """
    check_comparison(comparison)
    seen = comparison.readout(fwhm_mm)
    significant = seen.q < SIGNIFICANT
    note = f"{count_of_units(int(significant.sum()), significant.size)} (q < {SIGNIFICANT:g})"
    return outlined_maps(on_sheets(seen.t), on_sheets(significant), seen.name, note)
