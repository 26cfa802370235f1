"""Figure of a comparison."""

from __future__ import annotations

from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.readout import check_raw
from toposheet.figures.network import outlined_maps
from toposheet.sheet import on_sheets
from toposheet.wording import count_of_units


def plot(comparison: Comparison, fwhm_mm: float = 0.0) -> Figure:
    """Return a figure of the maps of a comparison: one map of Welch's t for each sheet.

    Significant units (q < 0.05 over all taps) are outlined, and their number is written above the maps. Red units
    respond more to the first condition, blue units to the second.

    Args:
        comparison: The raw comparison.
        fwhm_mm: Width (FWHM) of the readout, in mm; 0 is raw.

    Raises:
        UserError: The comparison is a readout, or the width is negative or not finite.

    Example:
        ts.plot(ts.Comparison(responses, "sentence", "nonword")).savefig("map.png")
    """
    check_comparison(comparison)
    check_raw(comparison, "fwhm_mm={}")
    comparison = comparison.readout(fwhm_mm)
    note = f"{count_of_units(comparison.n_significant, comparison.n_units)} (q < {SIGNIFICANT:g})"
    return outlined_maps(comparison.maps(), on_sheets(comparison.q < SIGNIFICANT), comparison.name, note)
