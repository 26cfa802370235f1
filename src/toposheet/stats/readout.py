"""What an fMRI voxel would see of a sheet."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from toposheet.settings import check_fwhm


def gaussian_readout(grid: Float[np.ndarray, "*maps y x"], fwhm: float) -> Float[np.ndarray, "*maps y x"]:
    """Return maps sampled by a Gaussian at every cell, normalised to unit mass.

    r_i = sum_j g_ij x_j / sum_j g_ij, with g_ij = exp(-distance_ij^2 / (2 sigma^2)) and
    sigma = fwhm / (2 sqrt(2 ln 2)); sums run over the cells that hold a unit, so that cells at the edge or
    beside a hole count fully (TopoLM's published kernel gives them 0.54 to 1.00; arXiv:2410.11516).

    Args:
        grid: One map or a stack; nan cells are holes and stay nan.
        fwhm: Full width at half maximum, in cells. 0 gives the maps as they are.

    Raises:
        UserError: the width is negative or not finite.
    """
    check_fwhm(fwhm)
    if fwhm == 0:
        return grid
    rows, columns = (gaussian_weights(cells, fwhm).astype(grid.dtype) for cells in grid.shape[-2:])
    present = np.isfinite(grid)
    if present.all():
        return rows @ grid @ columns / np.outer(rows.sum(axis=1), columns.sum(axis=0))
    mass = rows @ present.astype(grid.dtype) @ columns
    sampled = rows @ np.where(present, grid, 0.0).astype(grid.dtype) @ columns
    return np.where(present, sampled / np.where(present, mass, 1.0), np.nan).astype(grid.dtype)


def gaussian_weights(cells: int, fwhm: float) -> Float[np.ndarray, "cells cells"]:
    """Return the weights of a Gaussian along one side of a sheet, 1 at its middle: [where it looks from, at what]."""
    sigma = fwhm / (2 * math.sqrt(2 * math.log(2)))
    steps = np.subtract.outer(np.arange(cells), np.arange(cells))
    return np.exp(-(steps**2) / (2 * sigma**2))
