"""What an fMRI voxel would see of responses: Gaussian sampling of each sheet."""

from __future__ import annotations

import numpy as np
import xarray as xr

from toposheet.cortex.layout import cells_of, check_coordinates
from toposheet.sheet import lay_out
from toposheet.stats import gaussian_readout


def sampled(responses: xr.DataArray, fwhm_mm: float) -> xr.DataArray:
    """Return what voxels at the places of the units would see.

    The readout comes before any contrast, as in TopoLM (arXiv:2410.11516).

    Args:
        responses: From `respond`.
        fwhm_mm: Full width at half maximum in millimetres; 0 returns the responses as they are.

    Returns:
        An array like `responses`; the mass of every voxel is 1, at the edge and beside holes too.

    Raises:
        UserError: the width is negative or not finite, or the responses do not say where units are.
    """
    check_coordinates(responses, "sheet", "spacing_mm")
    responses = responses.transpose(..., "unit")
    seen = responses.copy(data=responses.values.copy())
    for sheet in dict.fromkeys(responses["sheet"].values.tolist()):
        units = np.flatnonzero(responses["sheet"].values == sheet)
        on_sheet = responses.isel(unit=units)
        cells, shape = cells_of(on_sheet)
        spacing_mm = float(on_sheet["spacing_mm"].values[0])
        smooth = gaussian_readout(lay_out(on_sheet.values, cells, shape), fwhm_mm / spacing_mm)
        seen.values[..., units] = smooth[..., cells[:, 0], cells[:, 1]]
    return seen
