"""What an fMRI voxel would see of responses: Gaussian sampling of each sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from toposheet.cortex.layout import cells_of, check_coordinates
from toposheet.sheet import lay_out
from toposheet.stats import gaussian_readout
from toposheet.stats.readout import gaussian_weights


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


class SheetReadout:
    """The readout of one sheet, for arrays (units, stimuli) of which many draws have to be sampled.

    Args:
        on_sheet: Responses of the units of one sheet.
        fwhm_mm: Full width at half maximum of the Gaussian.
    """

    def __init__(self, on_sheet: xr.DataArray, fwhm_mm: float) -> None:
        self._cells, (height, width) = cells_of(on_sheet)
        cells = fwhm_mm / float(on_sheet["spacing_mm"].values[0])
        self._rows, self._columns = gaussian_weights(height, cells), gaussian_weights(width, cells)
        occupied = np.zeros((height, width))
        occupied[self._cells[:, 0], self._cells[:, 1]] = 1
        self._mass = (self._rows @ occupied @ self._columns)[self._cells[:, 0], self._cells[:, 1]]

    def sample(self, x: Float[np.ndarray, "units stimuli"]) -> Float[np.ndarray, "units stimuli"]:
        """Return what is seen at the place of each unit."""
        return self._on_grid(x)[self._cells[:, 0], self._cells[:, 1]] / self._mass[:, None]

    def sums_of_squares(
        self, x: Float[np.ndarray, "units stimuli"], sizes: Sequence[int]
    ) -> Float[np.ndarray, "parts units"]:
        """Return the sums of squares of what is seen, over adjacent parts of the stimuli of these sizes."""
        seen, ends = self._on_grid(x), np.cumsum(sizes)
        sums = [np.einsum("yxs,yxs->yx", part, part) for part in np.split(seen, ends[:-1], axis=-1)]
        return np.stack(sums)[:, self._cells[:, 0], self._cells[:, 1]] / self._mass**2

    def _on_grid(self, x: np.ndarray) -> np.ndarray:
        height, width, n = len(self._rows), len(self._columns), x.shape[1]
        grid = np.zeros((height, width, n), dtype=x.dtype)
        grid[self._cells[:, 0], self._cells[:, 1]] = x
        rows, columns = self._rows.astype(x.dtype), self._columns.astype(x.dtype)
        down = (rows @ grid.reshape(height, width * n)).reshape(height, width, n)
        return np.matmul(columns, down)
