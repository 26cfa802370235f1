"""Spatial autocorrelation of maps, on a sheet or on any mesh."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from scipy.sparse import csr_array

# Below these a map of significant units alone has no stable Moran's I.
ISLAND_FRACTION, ISLAND_UNITS = 0.10, 30


def morans_i(grid: np.ndarray | xr.DataArray) -> Float[np.ndarray, "*maps"]:
    """Return the spatial autocorrelation of maps on a sheet (Moran 1950, doi:10.2307/2332142).

    I = (n / W) * sum_ij w_ij z_i z_j / sum_i z_i^2, with z the map minus its mean, w_ij = 1 for the (up to
    eight) cells that share an edge or a corner with cell i (queen contiguity, as in TopoLM,
    arXiv:2410.11516), W the sum of all w_ij and n the number of cells.

    Args:
        grid: One map or a stack of maps; the last two axes are the sheet. Cells that are nan are holes:
            they are nobody's neighbours.

    Returns:
        One I for each map, an array without axes for a single one: about -1/(n-1) for noise, towards 1 for
        smooth maps. A constant map has no autocorrelation and gives nan.
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
    za, zb = _centred(a, present), _centred(b, present)
    n, weights = _total(present), _total(present * _neighbor_sum(present.astype(np.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(n / weights * _total(za * _neighbor_sum(zb)) / np.sqrt(_total(za**2) * _total(zb**2)))


def islands_morans_i(
    grid: Float[np.ndarray, "*maps y x"], significant: Bool[np.ndarray, "*maps y x"]
) -> Float[np.ndarray, "*maps"]:
    """Return Moran's I of the significant cells alone, all others being holes.

    Args:
        grid: One map or a stack; nan cells are holes.
        significant: Which cells count.

    Returns:
        One I for each map; nan where under 10 % of the cells or under 30 are significant: there it is unstable (null
        sd 0.71 at 5 % of 256 units).
    """
    present = np.isfinite(grid)
    n, all_cells = _total(significant & present), _total(present)
    enough = (n >= ISLAND_UNITS) & (n >= ISLAND_FRACTION * all_cells)
    return np.where(enough, morans_i(np.where(significant, grid, np.nan)), np.nan)


def morans_i_on_graph(values: Float[np.ndarray, "*maps vertices"], adjacency: csr_array) -> Float[np.ndarray, "*maps"]:
    """Return Moran's I of maps on a mesh or any other graph; see `morans_i`.

    Args:
        values: One map or a stack.
        adjacency: Symmetric weights w_ij (vertices, vertices), 1 for neighbours and 0 elsewhere.
    """
    z = values - values.mean(axis=-1, keepdims=True)
    flat = z.reshape(-1, z.shape[-1])
    lagged = (adjacency @ flat.T).T.reshape(z.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(z.shape[-1] / adjacency.sum() * (z * lagged).sum(axis=-1) / (z**2).sum(axis=-1))


def _total(grid: np.ndarray) -> np.ndarray:
    return np.asarray(grid.sum(axis=(-2, -1)))


def _centred(grid: np.ndarray, present: np.ndarray) -> np.ndarray:
    filled = np.where(present, grid, 0.0)
    n = present.sum(axis=(-2, -1), keepdims=True)
    mean = filled.sum(axis=(-2, -1), keepdims=True) / np.maximum(n, 1)
    z = np.where(present, filled - mean, 0.0)
    # Rounding leaves a constant map a spread of the last bit, which would pass for a map.
    spread, size = (np.abs(x).max(axis=(-2, -1), keepdims=True, initial=0) for x in (z, filled))
    return np.where(spread > 1e-12 * size, z, 0.0)


def _neighbor_sum(grid: np.ndarray) -> np.ndarray:
    """Return for each cell the sum over its up to eight neighbours."""
    padded = np.pad(grid, [(0, 0)] * (grid.ndim - 2) + [(1, 1), (1, 1)])
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - grid
