"""The smoothness of the noise of each condition of a contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from toposheet.cortex.comparison import Comparison, check_comparison
from toposheet.cortex.layout import MEAN_OVER_TAPS, TapLayout, mean_over_taps
from toposheet.cortex.readout import check_raw
from toposheet.results import Table
from toposheet.settings import readouts_of
from toposheet.stats import grid_autocorrelation, half_width_fwhm, neighbour_fwhm

SMOOTHNESS = Table(
    "smoothness.csv",
    {"contrast": "text", "sheet": "text", "tap": "text", "condition": "text", "fwhm_mm": "number",
     "distance_mm": "number", "autocorrelation": "number", "neighbour_fwhm_mm": "number",
     "half_width_fwhm_mm": "number"},
    "the autocorrelation of the noise of one condition at one distance, and the smoothness of this noise",
)  # fmt: skip
MOST_CELLS = 10


def noise_smoothness(comparison: Comparison, *, fwhm_mm: float | Sequence[float] = (0.0, 2.0)) -> pd.DataFrame:
    """Return the autocorrelation over distance of the noise of each condition, and its width.

    The noise of a condition is the deviation of its items (texts, or means of groups) from their mean. With pairs, the
    noise is that of the differences, and there is one row for both conditions (`a - b`). If the two conditions are not
    equally smooth, labels are not exchangeable: shuffled labels mix the noise of both conditions. With equal numbers of
    items, nulls shuffle labels; with other numbers, they keep the noise of each condition (`Design.null`).

    Args:
        comparison: The comparison, without readout.
        fwhm_mm: One width or several widths of readouts, in mm; 0 is raw.

    Returns:
        A row for each readout, tap, condition and distance (1, 2, ... 10 cells along rows and columns). The columns are
        `contrast, sheet, tap, condition, fwhm_mm` (the readout), `distance_mm`, `autocorrelation` (mean correlation of
        two units over items), and two widths of the noise, the same in all rows of a condition: `neighbour_fwhm_mm`
        (`stats.neighbour_fwhm`) and `half_width_fwhm_mm` (`stats.half_width_fwhm`). The sheet `*` with the tap `*` has
        the mean over taps of the autocorrelation, if all taps have one spacing of cells.

    Raises:
        UserError: The comparison is a readout, or a width is negative or not a finite number.

    Example:
        ts.noise_smoothness(ts.Comparison(responses, "sentence", "nonword"))
    """
    check_comparison(comparison)
    check_raw(comparison, "call noise_smoothness(..., fwhm_mm=({:g},))")
    names, tables = _sample_names(comparison), []
    for width in readouts_of(fwhm_mm):
        seen = comparison.readout(width)
        deviations = seen.design.residuals(seen.items)
        for name, sample in zip(names, seen.design.samples, strict=True):
            known = {"contrast": comparison.name, "condition": name, "fwhm_mm": width}
            curves = [_autocorrelation(layout, deviations[sample]) for layout in seen.map_layouts]
            for layout, r in zip(seen.map_layouts, curves, strict=True):
                tables.append(_rows(r, layout.spacing_mm, known | {"sheet": layout.sheet, "tap": layout.name}))
            if len({tap.spacing_mm for tap in seen.layouts}) == 1:
                of_taps = curves[: len(seen.layouts)]
                padded = np.full((max(map(len, of_taps)), len(of_taps)), np.nan)  # small taps have no large distances
                for number, r in enumerate(of_taps):
                    padded[: len(r), number] = r
                mean = mean_over_taps(padded)[:, 0]
                tables.append(_rows(mean, seen.layouts[0].spacing_mm, known | MEAN_OVER_TAPS))
    return SMOOTHNESS.frame(pd.concat(tables, ignore_index=True))


def _sample_names(comparison: Comparison) -> list[str]:
    contrast = comparison.contrast
    return [contrast.a, contrast.b] if comparison.design.pairs is None else [f"{contrast.a} - {contrast.b}"]


def _autocorrelation(tap: TapLayout, deviations: np.ndarray) -> np.ndarray:
    return grid_autocorrelation(tap.map(deviations), min(MOST_CELLS, max(tap.shape) - 1) or 1)


def _rows(r: np.ndarray, spacing_mm: float, known: Mapping[str, object]) -> pd.DataFrame:
    distance = spacing_mm * np.arange(1, len(r) + 1)
    widths = {"neighbour_fwhm_mm": neighbour_fwhm(distance, r), "half_width_fwhm_mm": half_width_fwhm(distance, r)}
    return pd.DataFrame({**known, "distance_mm": distance, "autocorrelation": r, **widths})
