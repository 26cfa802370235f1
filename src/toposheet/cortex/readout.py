"""The Gaussian readout of responses: what an fMRI voxel would see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from toposheet.cortex.layout import tap_layouts
from toposheet.errors import UserError
from toposheet.stats import SheetReadout, gaussian_readout

if TYPE_CHECKING:
    from toposheet.cortex.comparison import Comparison


def sampled(responses: xr.DataArray, fwhm_mm: float) -> xr.DataArray:
    """Return the responses as voxels would see them, with one voxel at the place of each unit.

    The readout comes before any contrast, as in TopoLM (arXiv:2410.11516). A voxel averages the units of one tap, also
    on a sheet with several taps: otherwise the map of a tap would show the effects of other taps.

    Args:
        responses: Responses from `respond`.
        fwhm_mm: Full width at half maximum of the Gaussian, in mm. 0 returns the responses without a change.

    Returns:
        An array like `responses`. The weights of each voxel sum to 1, also at the edge of a sheet or tap and beside a
        hole.

    Raises:
        UserError: The width is negative or not finite, or the responses lack the coordinates of the units.
    """
    responses = responses.transpose(..., "unit")
    voxels = responses.copy(data=responses.values.copy())
    for tap in tap_layouts(responses):
        smooth = gaussian_readout(tap.map(responses.values), fwhm_mm / tap.spacing_mm)
        voxels.values[..., tap.units] = tap.at_units(smooth)
    return voxels


def check_raw(comparison: Comparison, option: str) -> None:
    """Refuse a comparison that is a readout. Functions with the option `fwhm_mm` make readouts of the raw comparison.

    Args:
        comparison: The comparison.
        option: The option that gives the same readout, with `{}` for its width.

    Raises:
        UserError: The comparison is a readout.
    """
    if comparison.fwhm_mm:
        width = f"{comparison.fwhm_mm:g}"
        raise UserError(
            f"comparison is a readout of {width} mm: give the raw comparison (comparison.raw), and "
            f"{option.format(comparison.fwhm_mm)}"
        )


def tap_readouts(responses: xr.DataArray, fwhm_mm: float) -> list[tuple[np.ndarray, SheetReadout]]:
    """Return the readout of each tap, prepared for many draws, with the indices of the units of the tap.

    Args:
        responses: Responses from `respond`; only the coordinates of the units count.
        fwhm_mm: Full width at half maximum of the Gaussian, in mm. It is not 0.
    """
    taps = tap_layouts(responses)
    return [(tap.units, SheetReadout(tap.cells, tap.shape, fwhm_mm / tap.spacing_mm)) for tap in taps]
