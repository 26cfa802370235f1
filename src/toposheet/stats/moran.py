"""Moran's I, the spatial autocorrelation of maps: on a sheet, between two maps, and on a mesh."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from scipy.sparse import csr_array

from toposheet.errors import UserError
from toposheet.settings import check_weights

# With a smaller fraction or a smaller number of significant units, Moran's I of these units alone is unstable.
ISLAND_FRACTION, ISLAND_UNITS = 0.10, 30


def morans_i(grid: np.ndarray | xr.DataArray, *, weights: str = "binary") -> np.float64 | Float[np.ndarray, "*maps"]:
    """Return the spatial autocorrelation of maps on a sheet (Moran 1950, doi:10.2307/2332142).

    I = (n / W) * sum_ij w_ij z_i z_j / sum_i z_i^2. z is the map minus its mean. w_ij is 1 if the cells i and j share
    an edge or a corner (queen contiguity, as in TopoLM, arXiv:2410.11516), and 0 otherwise. W is the sum of all w_ij. n
    is the number of cells.

    With row-standardised weights, w_ij is 1 / (number of neighbours of i) instead of 1. So a cell at the edge counts as
    much as a cell with eight neighbours. TopoLM's published numbers have these weights, which are the default of the
    package esda. Maps of TopoLM differ by up to 0.04.

    Args:
        grid: One map or a stack of maps. The last two axes are the rows and columns of the sheet. Cells that are nan
            are holes: they do not count, and they are no neighbours of other cells.
        weights: `"binary"`, or `"row"` for row-standardised weights.

    Returns:
        One I for each map; a number for a single map. I is about -1/(n-1) for noise and close to 1 for a smooth map. A
        constant map gives nan. With binary weights, the largest possible value is n / W times the largest eigenvalue of
        w (de Jong et al. 1984, doi:10.1111/j.1538-4632.1984.tb00797.x). It is 1.05 on a full sheet of 24 x 24 cells,
        about 1.5 if half of the cells are missing, and about 2 if three quarters are missing. So a smooth map of a
        sparse sheet can have an I above 1. Compare it with the place-null, which uses the same cells.

    Raises:
        UserError: The array has fewer than two axes or holds no numbers, or the last two dimensions of a DataArray are
            not y and x, or the weights are unknown.
    """
    check_weights(weights)
    try:
        values = np.asarray(grid, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(())
    if values.ndim < 2:
        raise UserError(
            f"the map is a {type(grid).__name__} of shape {np.shape(values)}: it must be an array of numbers whose "
            "last two axes are the sheet, such as comparison.maps()[SHEET]"
        )
    if isinstance(grid, xr.DataArray) and grid.dims[-2:] != ("y", "x"):
        raise UserError(
            f"the map has the dimensions {', '.join(map(str, grid.dims))}: the last two must be y and x, the rows and "
            "columns of the sheet, as in comparison.maps()[SHEET]; for other arrays give grid.values"
        )
    present = _mask(np.isfinite(values))
    return _morans_i(_centred(values, present), present, weights)[()]


def _morans_i(z: np.ndarray, present: np.ndarray, weights: str) -> np.ndarray:
    """Return Moran's I of maps that are minus their mean, and 0 in their holes."""
    lagged = _row_lagged_products if weights == "row" else _lagged_products
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(lagged(z, z, present) / np.sqrt(_total(z**2) * _total(z**2)))


def cross_morans_i(a: Float[np.ndarray, "*maps y x"], b: Float[np.ndarray, "*maps y x"]) -> Float[np.ndarray, "*maps"]:
    """Return the bivariate Moran's I of two maps of one sheet (Wartenberg 1985).

    I = (n / W) * sum_ij w_ij za_i zb_j / sqrt(sum_i za_i^2 * sum_i zb_i^2), with the symbols of `morans_i`
    (doi:10.1111/j.1538-4632.1985.tb00849.x). It measures how well a cell of one map predicts the neighbours of this
    cell in the other map. If the two maps come from two halves of the items, I measures *reliable* topography, because
    the noise of the two halves is independent.

    Args:
        a: One map or a stack of maps. Cells that are nan are holes.
        b: The other map or stack. A cell counts if it has a value in both maps.

    Returns:
        About 0 for unrelated maps, close to 1 for two equal smooth maps, negative for opposite maps. If a map is
        constant, nan.
    """
    present = _mask(np.isfinite(a) & np.isfinite(b))
    za = _centred(a, present)
    zb = za if b is a else _centred(b, present)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_lagged_products(za, zb, present) / np.sqrt(_total(za**2) * _total(zb**2)))


def morans_i_parts(
    grid: Float[np.ndarray, "*maps y x"],
) -> tuple[Float[np.ndarray, "*maps"], Float[np.ndarray, "*maps"]]:
    """Return the numerator and the denominator of Moran's I of maps, both sums of squares in the units of the map.

    Args:
        grid: One map or a stack of maps. Cells that are nan are holes.

    Returns:
        (n / W) * sum_ij w_ij z_i z_j, and sum_i z_i^2, with the symbols of `morans_i`.
    """
    present = _mask(np.isfinite(grid))
    z = _centred(grid, present)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_lagged_products(z, z, present)), _total(z**2)


def lagged_inner_products(
    grid: Float[np.ndarray, "maps y x"],
) -> tuple[Float[np.ndarray, "maps maps"], Float[np.ndarray, "maps maps"]]:
    """Return the parts of Moran's I for any two maps: their spatially lagged inner products, and their inner products.

    Args:
        grid: A stack of maps with the same holes (cells that are nan).

    Returns:
        (n / W) * sum_ij w_ij za_i zb_j, and sum_i za_i zb_i, for each two maps a and b, with the symbols of `morans_i`.
        The two diagonals are what `morans_i_parts` returns.
    """
    present = _mask(np.isfinite(grid))
    z = _centred(grid, present)
    n, weights = _total(present), _total(present * _neighbor_sum(present.astype(np.float64)))
    flat, lagged = z.reshape(len(z), -1), (_neighbor_sum(z) * present).reshape(len(z), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (n / weights) * (flat @ lagged.T), flat @ flat.T


def islands_morans_i(
    grid: Float[np.ndarray, "*maps y x"], significant: Bool[np.ndarray, "*maps y x"]
) -> Float[np.ndarray, "*maps"]:
    """Return Moran's I of the significant cells alone. All other cells are holes.

    Args:
        grid: One map or a stack of maps. Cells that are nan are holes.
        significant: True for each significant cell.

    Returns:
        One I for each map. It is nan where fewer than 10 % of the cells, or fewer than 30 cells, are significant. With
        so few cells I is unstable (its null has a standard deviation of 0.71 at 5 % of 256 units).
    """
    present = np.isfinite(grid)
    n, all_cells = _total(significant & present), _total(present)
    enough = (n >= ISLAND_UNITS) & (n >= ISLAND_FRACTION * all_cells)
    return np.where(enough, morans_i(np.where(significant, grid, np.nan)), np.nan)


def morans_i_on_graph(
    values: Float[np.ndarray, "*maps vertices"], adjacency: csr_array, *, weights: str = "binary"
) -> Float[np.ndarray, "*maps"]:
    """Return Moran's I of maps on a mesh or another graph; see `morans_i` for the formula.

    Args:
        values: One map or a stack of maps. The last axis is the vertices.
        adjacency: Symmetric weights w_ij (vertices, vertices): 1 for neighbours, 0 otherwise.
        weights: `"binary"`, or `"row"` for row-standardised weights, see `morans_i`.

    Returns:
        One I for each map; nan for a constant map.

    Raises:
        UserError: The weights are unknown.
    """
    check_weights(weights)
    if weights == "row":
        n_neighbors = np.asarray(adjacency.sum(axis=1), dtype=np.float64)
        adjacency = adjacency.multiply(1 / np.maximum(n_neighbors, 1)[:, None]).tocsr()
    z = values - values.mean(axis=-1, keepdims=True)
    flat = z.reshape(-1, z.shape[-1])
    lagged = (adjacency @ flat.T).T.reshape(z.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(z.shape[-1] / adjacency.sum() * (z * lagged).sum(axis=-1) / (z**2).sum(axis=-1))


def _mask(present: Bool[np.ndarray, "*maps y x"]) -> Bool[np.ndarray, "*#maps y x"]:
    """Return one mask if all maps have the same holes, because less work follows; otherwise the mask of each map."""
    first = present[(slice(0, 1),) * (present.ndim - 2)]
    return first if (present == first).all() else present


def _lagged_products(za: np.ndarray, zb: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return (n / W) * sum_ij w_ij za_i zb_j of two maps that are 0 in their holes."""
    n, weights = _total(present), _total(present * _neighbor_sum(present.astype(np.float64)))
    return np.asarray(n / weights * _total(za * _neighbor_sum(zb)))


def _row_lagged_products(za: np.ndarray, zb: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the same as `_lagged_products` with row-standardised weights: the weights of each cell sum to 1."""
    n_neighbors = present * _neighbor_sum(present.astype(np.float64))
    n, weights = _total(present), _total(n_neighbors > 0)
    return np.asarray(n / weights * _total(za * _neighbor_sum(zb) / np.maximum(n_neighbors, 1)))


def _total(grid: np.ndarray) -> np.ndarray:
    return np.asarray(grid.sum(axis=(-2, -1)))


def _centred(grid: np.ndarray, present: np.ndarray) -> np.ndarray:
    filled = np.where(present, grid, 0.0)
    n = present.sum(axis=(-2, -1), keepdims=True)
    mean = filled.sum(axis=(-2, -1), keepdims=True) / np.maximum(n, 1)
    z = np.where(present, filled - mean, 0.0)
    # By rounding, a constant map can differ from its mean in the last bit. This must not count as a map.
    spread, size = (np.abs(x).max(axis=(-2, -1), keepdims=True, initial=0) for x in (z, filled))
    return np.where(spread > 1e-12 * size, z, 0.0)


def _neighbor_sum(grid: np.ndarray) -> np.ndarray:
    """Return for each cell the sum over its neighbours (up to eight)."""
    padded = np.pad(grid, [(0, 0)] * (grid.ndim - 2) + [(1, 1), (1, 1)])
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - grid
