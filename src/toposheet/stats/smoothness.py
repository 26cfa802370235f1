"""The smoothness of noise: its autocorrelation over distance on a sheet, and widths that describe it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def grid_autocorrelation(noise: Float[np.ndarray, "items y x"], most_cells: int) -> Float[np.ndarray, " distances"]:
    """Return the autocorrelation of noise maps at the distances 1, 2, ... `most_cells`, in cells.

    It is the mean correlation (over items) between two cells of one row or column at this distance.

    Args:
        noise: Deviations of the items from the mean of their condition, as maps. Cells that are nan are holes; so are
            cells without variance.
        most_cells: The largest distance, in cells.

    Returns:
        The correlation at each distance. nan: there is no pair of cells.
    """
    squares = (noise**2).sum(axis=0)
    present = np.nan_to_num(squares) > 0
    unit = np.where(present, noise, 0.0) / np.sqrt(np.where(present, squares, 1.0))
    products, pairs = _at_shifts(unit, most_cells), np.round(_at_shifts(present[None] * 1.0, most_cells))
    return np.divide(products, pairs, out=np.full(most_cells, np.nan), where=pairs > 0)


def neighbour_fwhm(distance: Float[np.ndarray, " distances"], r: Float[np.ndarray, " distances"]) -> float:
    """Return the width (FWHM) of the Gaussian that gives white noise the observed correlation of adjacent cells.

    It is `gaussian_fwhm` at the smallest distance, as fMRI packages estimate smoothness (Kiebel et al. 1999,
    doi:10.1006/nimg.1999.0508). It is exact if the autocorrelation is Gaussian.

    Returns:
        The width, in the unit of the distances. 0: adjacent cells are not positively correlated. nan: no pair of cells.
    """
    return float(gaussian_fwhm(distance[0], r[0])) if len(r) else float("nan")


def gaussian_fwhm(distance: float, r: float | Float[np.ndarray, "*maps"]) -> np.float64 | Float[np.ndarray, "*maps"]:
    """Return the width (FWHM) of the Gaussian that gives white noise the correlation r at a distance.

    FWHM = d sqrt(-2 ln 2 / ln r) (Forman et al. 1995, doi:10.1002/mrm.1910330508).

    Args:
        distance: The distance d.
        r: One correlation or several.

    Returns:
        The width, in the unit of the distance. 0: r is not positive.
    """
    with np.errstate(divide="ignore"):
        return distance * np.sqrt(-2 * np.log(2) / np.log(np.clip(r, 0.0, 1 - 1e-12)))


def half_width_fwhm(distance: Float[np.ndarray, " distances"], r: Float[np.ndarray, " distances"]) -> float:
    """Return a width (FWHM) from the distance at which the autocorrelation falls to 0.5.

    Noise that is smoothed with a Gaussian of this FWHM has the correlation 0.5 at FWHM / sqrt(2). The autocorrelation
    of fMRI noise has longer tails than a Gaussian (Cox et al. 2017, doi:10.1089/brain.2016.0475). Then this width is
    larger than that of the neighbours. r is interpolated between distances, with r(0) = 1. So widths below one cell are
    rough: white noise gives 0.7 cells.

    Returns:
        The width, in the unit of the distances. nan: r stays above 0.5 up to the largest distance, or no pair of cells.
    """
    distance, r = np.concatenate([[0.0], distance]), np.concatenate([[1.0], r])
    below = np.flatnonzero(r < 0.5)
    if not len(below):
        return float("nan")
    first = int(below[0])
    share = (r[first - 1] - 0.5) / (r[first - 1] - r[first])
    return float(np.sqrt(2) * (distance[first - 1] + share * (distance[first] - distance[first - 1])))


def _at_shifts(maps: Float[np.ndarray, "maps y x"], most_cells: int) -> Float[np.ndarray, " distances"]:
    """Return the sum of products of two cells at each distance along rows and columns, summed over maps."""
    shape = [side + most_cells for side in maps.shape[1:]]  # enough room that no cell meets a cell of the other side
    power = (np.abs(np.fft.rfft2(maps, s=shape)) ** 2).sum(axis=0)
    sums = np.fft.irfft2(power, s=shape)
    return sums[1 : most_cells + 1, 0] + sums[0, 1 : most_cells + 1]
