"""The Gaussian readout: what an fMRI voxel would see of a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from toposheet.settings import check_fwhm

_NOTHING = 1e-17  # a weight that does not change a sum with the weight 1 in float64
_SPARSE = 0.1  # the share of other weights up to which only these are multiplied


def gaussian_readout(grid: Float[np.ndarray, "*maps y x"], fwhm: float) -> Float[np.ndarray, "*maps y x"]:
    """Return maps as voxels would see them: at each cell, a weighted mean with Gaussian weights.

    r_i = sum_j g_ij x_j / sum_j g_ij, with g_ij = exp(-distance_ij^2 / (2 sigma^2)) and
    sigma = fwhm / (2 sqrt(2 ln 2)). The sums run over the cells that hold a unit. Thus the weights sum to 1 for every
    cell, also at the edge of the sheet and beside a hole. (With TopoLM's published kernel this sum is 0.54 to 1.00;
    arXiv:2410.11516.)

    Args:
        grid: One map or a stack of maps. Cells that are nan are holes and stay nan.
        fwhm: Full width at half maximum of the Gaussian, in cells. With 0 the maps do not change.

    Raises:
        UserError: The width is negative or not finite.
    """
    check_fwhm("fwhm", fwhm)
    if fwhm == 0:
        return grid
    rows, columns = (gaussian_weights(cells, fwhm).astype(grid.dtype) for cells in grid.shape[-2:])
    present = np.isfinite(grid)
    if present.all():
        return rows @ grid @ columns / np.outer(rows.sum(axis=1), columns.sum(axis=0))
    mass = rows @ present.astype(grid.dtype) @ columns
    sampled = rows @ np.where(present, grid, 0.0).astype(grid.dtype) @ columns
    return np.where(present, sampled / np.where(present, mass, 1.0), np.nan).astype(grid.dtype)


class SheetReadout:
    """The readout of `gaussian_readout` for one sheet, prepared for many draws of arrays (units, stimuli).

    The weights and their sums are computed once, when the object is made. A cell that several units share has the mean
    of its units.

    Args:
        cells: Row and column of each unit.
        shape: Height and width of the grid, in cells.
        fwhm: Full width at half maximum of the Gaussian, in cells.
    """

    def __init__(self, cells: Int[np.ndarray, "units 2"], shape: tuple[int, int], fwhm: float) -> None:
        self._cells, (height, width) = cells, shape
        self._shape = shape
        self._rows, self._columns = (_banded(gaussian_weights(side, fwhm)) for side in shape)
        occupied = np.zeros((height, width))
        occupied[self._cells[:, 0], self._cells[:, 1]] = 1
        self._mass = (self._columns @ (self._rows @ occupied).T).T[self._cells[:, 0], self._cells[:, 1]]
        cells = self._cells[:, 0] * width + self._cells[:, 1]
        self._occupied, of_unit, n_units = np.unique(cells, return_inverse=True, return_counts=True)
        self._means = None  # one unit in each cell
        if len(self._occupied) < len(cells):
            entries = 1 / n_units[of_unit], (of_unit, np.arange(len(cells)))
            self._means = csr_array(entries, shape=(len(self._occupied), len(cells)))

    def sample(self, x: Float[np.ndarray, "units stimuli"]) -> Float[np.ndarray, "units stimuli"]:
        """Return what a voxel at the place of each unit would see.

        Args:
            x: Responses of each unit to each stimulus.
        """
        return self._on_grid(x)[self._cells[:, 0], self._cells[:, 1]] / self._mass[:, None]

    def sums_of_squares(
        self, x: Float[np.ndarray, "units stimuli"], sizes: Sequence[int]
    ) -> Float[np.ndarray, "parts units"]:
        """Return, for each unit and each part of the stimuli, the sum of squares of what a voxel at the unit would see.

        Args:
            x: Responses of each unit to each stimulus. The stimuli of one part stand side by side.
            sizes: Number of stimuli of each part, in order.
        """
        voxels, ends = self._on_grid(x), np.cumsum(sizes)
        sums = [np.einsum("yxs,yxs->yx", part, part) for part in np.split(voxels, ends[:-1], axis=-1)]
        return np.stack(sums)[:, self._cells[:, 0], self._cells[:, 1]] / self._mass**2

    def _on_grid(self, x: np.ndarray) -> np.ndarray:
        (height, width), n = self._shape, x.shape[1]
        grid = np.zeros((height, width, n), dtype=x.dtype)
        if self._means is None:
            grid[self._cells[:, 0], self._cells[:, 1]] = x
        else:
            grid.reshape(-1, n)[self._occupied] = self._means @ x
        rows, columns = self._rows.astype(x.dtype), self._columns.astype(x.dtype)
        down = (rows @ grid.reshape(height, width * n)).reshape(height, width, n)
        if isinstance(columns, np.ndarray):
            return np.matmul(columns, down)
        return np.stack([columns @ row for row in down])


def _banded(weights: Float[np.ndarray, "cells cells"]) -> np.ndarray | csr_array:
    """Return the weights along a side. On a long side, those that are 0 but for rounding are left out to save work.

    Args:
        weights: The weights. The largest is 1.
    """
    counts = weights > _NOTHING
    return weights if counts.mean() > _SPARSE else csr_array(np.where(counts, weights, 0.0))


def gaussian_weights(cells: int, fwhm: float) -> Float[np.ndarray, "cells cells"]:
    """Return Gaussian weights between the cells along one side of a sheet; the weight of a cell with itself is 1.

    Args:
        cells: Number of cells along the side.
        fwhm: Full width at half maximum of the Gaussian, in cells.

    Returns:
        A symmetric matrix. Its first axis is the cell at which the Gaussian is centred, its second axis is the cell
        that it samples.
    """
    sigma = fwhm / (2 * math.sqrt(2 * math.log(2)))
    steps = np.subtract.outer(np.arange(cells), np.arange(cells))
    return np.exp(-(steps**2) / (2 * sigma**2))
