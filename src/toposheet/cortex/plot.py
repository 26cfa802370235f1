"""Figure of a comparison."""

from __future__ import annotations

from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.readout import check_raw
from toposheet.errors import UserError
from toposheet.figures.network import outlined_maps
from toposheet.sheet import on_sheets
from toposheet.wording import count_of_units, counted


def plot(comparison: Comparison, fwhm_mm: float = 0.0, *, value: str = "t") -> Figure:
    """Return a figure of the maps of a comparison: one map of Welch's t, or of Cohen's d, for each sheet.

    With t, significant units (q < 0.05 over all taps) are outlined. With d, units are outlined if their 95 % interval
    of d excludes 0. This interval is that of one unit: without any effect, about 5 % of the units are outlined. The
    number of outlined units is written above the maps. Red units respond more to the first condition, blue units to the
    second.

    Args:
        comparison: The raw comparison.
        fwhm_mm: Width (FWHM) of the readout, in mm; 0 is raw.
        value: `"t"` for Welch's t, or `"d"` for the effect size (Cohen's d).

    Raises:
        UserError: The comparison is a readout, the width is negative or not finite, or the value is unknown.

    Example:
        ts.plot(ts.Comparison(responses, "sentence", "nonword")).savefig("map.png")
    """
    check_comparison(comparison)
    check_raw(comparison, "fwhm_mm={}")
    if value not in ("t", "d"):
        raise UserError(f"the value to plot is {value!r}: it must be 't' (Welch's t) or 'd' (Cohen's d)")
    comparison = comparison.readout(fwhm_mm)
    if value == "t":
        significant = on_sheets(comparison.q < SIGNIFICANT, shared="largest")
        note = f"{count_of_units(comparison.n_significant, comparison.n_units)} (q < {SIGNIFICANT:g})"
        return outlined_maps(comparison.maps(), significant, comparison.name, note)
    excludes_0 = (comparison.d_low > 0) | (comparison.d_high < 0)
    note = f"{int(excludes_0.sum()):,} of {counted(comparison.n_units, 'unit')}: the 95 % interval of d excludes 0"
    outlined = on_sheets(excludes_0, shared="largest")
    return outlined_maps(on_sheets(comparison.d), outlined, comparison.name, note, "Cohen's d")
