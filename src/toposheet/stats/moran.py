"""Spatial autocorrelation of maps on a sheet."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float


def morans_i(grid: np.ndarray | xr.DataArray) -> Float[np.ndarray, "*maps"]:
    """Return the spatial autocorrelation of maps on a sheet (Moran 1950, doi:10.2307/2332142).

    I = (n / W) * sum_ij w_ij z_i z_j / sum_i z_i^2, with z the map minus its mean, w_ij = 1 for the (up to
    eight) cells that share an edge or a corner with cell i (queen contiguity, as in TopoLM,
    arXiv:2410.11516), W the sum of all w_ij and n the number of cells.

    Args:
        grid: One map or a stack of maps; the last two axes are the sheet. Cells that are nan are holes:
            they are nobody's neighbours.

    Returns:
        One I for each map: about -1/(n-1) for noise, towards 1 for smooth maps. A constant map has no
        autocorrelation and gives nan.
    """
    values = np.asarray(grid, dtype=np.float64)
    return cross_morans_i(values, values)


def cross_morans_i(a: Float[np.ndarray, "*maps y x"], b: Float[np.ndarray, "*maps y x"]) -> Float[np.ndarray, "*maps"]:
    """Return the bivariate Moran's I of two maps of one sheet (Wartenberg 1985).

    I = (n / W) * sum_ij w_ij za_i zb_j / sqrt(sum_i za_i^2 * sum_i zb_i^2): how far the value of a cell in
    one map tells the values of its neighbours in the other. Between maps of two halves of the items it
    measures *reliable* topography, since the noise of one half is not that of the other.
    doi:10.1111/j.1538-4632.1985.tb00849.x

    Args:
        a: One map or a stack; nan cells are holes.
        b: The other; a cell is used where both maps have a value.

    Returns:
        About 0 for unrelated maps, towards 1 for equal smooth maps, negative for opposite ones; nan where a
        map is constant.
    """
    present = np.isfinite(a) & np.isfinite(b)
    n = present.sum(axis=(-2, -1))
    za, zb = _centred(a, present, n), _centred(b, present, n)
    weights = (present * _neighbor_sum(present.astype(np.float64))).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt((za**2).sum(axis=(-2, -1)) * (zb**2).sum(axis=(-2, -1)))
        return n / weights * (za * _neighbor_sum(zb)).sum(axis=(-2, -1)) / scale


def _centred(grid: np.ndarray, present: np.ndarray, n: np.ndarray) -> np.ndarray:
    filled = np.where(present, grid, 0.0)
    mean = filled.sum(axis=(-2, -1)) / np.maximum(n, 1)
    z = np.where(present, filled - mean[..., None, None], 0.0)
    # Rounding leaves a constant map a spread of the last bit, which would pass for a map.
    spread, size = np.abs(z).max(axis=(-2, -1), initial=0), np.abs(filled).max(axis=(-2, -1), initial=0)
    return np.where((spread > 1e-12 * size)[..., None, None], z, 0.0)


def _neighbor_sum(grid: np.ndarray) -> np.ndarray:
    """Return for each cell the sum over its up to eight neighbours."""
    padded = np.pad(grid, [(0, 0)] * (grid.ndim - 2) + [(1, 1), (1, 1)])
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - grid
