"""The windows of a sheet, as tensors on the device of the activations."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toposheet.sheet import Neighborhoods, Sheet
from toposheet.sheet.neighborhoods import nearness_in

_PERMUTATIONS = 64  # of which one is taken in `shuffled_nearness`


class Windows(NamedTuple):
    """Windows of one sheet.

    Args:
        units: The number of the unit in each cell of each window. A hole has the number of an arbitrary unit.
        present: 1 for a cell with a unit, 0 for a hole. If no window has holes, one row stands for all windows.
        nearness: d = 1 / (1 + distance) between each two cells of a window. If windows are squares and no units share a
            cell, one matrix stands for all windows.
    """

    units: Int[Tensor, "windows cells"]
    present: Float[Tensor, "rows cells"]
    nearness: Float[Tensor, "matrices cells cells"]

    def chosen_windows(self, chosen: Int[Tensor, " chosen"] | slice) -> Windows:
        """Return a selection of the windows.

        Args:
            chosen: Indices of the windows, or a slice.
        """
        if isinstance(chosen, slice) and chosen == slice(0, len(self.units)):
            return self
        present = self.present if self.present.shape[0] == 1 else self.present[chosen]
        nearness = self.nearness if self.nearness.shape[0] == 1 else self.nearness[chosen]
        return Windows(self.units[chosen], present, nearness)


@torch.compiler.assume_constant_result
def windows_of(sheet: Sheet, radius: int, metric: str, window: str, shuffled: bool, device: torch.device) -> Windows:
    """Return the windows of a sheet. They are built once; inside `torch.compile` they are constants.

    Args:
        sheet: The sheet.
        radius: Size of the windows in cells, see `Neighborhoods.of`.
        metric: Distance between two cells, see `Neighborhoods.of`.
        window: `"open"` or `"closed"`, see `Neighborhoods.of`.
        shuffled: Whether to shuffle the nearness values among the pairs of cells, see `OnActivations`.
        device: Device of the tensors.
    """
    return _windows_in(sheet, radius, metric, window, shuffled, device)


@lru_cache(maxsize=1024)
def _windows_in(sheet: Sheet, radius: int, metric: str, window: str, shuffled: bool, device: torch.device) -> Windows:
    table = Neighborhoods.of(sheet, radius, metric, window)
    present = table.units >= 0
    if table.shape is not None:
        nearness = _nearness_of_squares(table.shape, metric, shuffled, device)
    else:
        of_units = _each_shuffled(table.nearness, present) if shuffled else table.nearness
        nearness = torch.from_numpy(of_units).to(device, torch.float32)
    return Windows(
        units=torch.from_numpy(np.maximum(table.units, 0)).to(device),
        present=_everywhere(present.shape[1], device)
        if present.all()
        else torch.from_numpy(present).to(device, torch.float32),
        nearness=nearness,
    )


@lru_cache(maxsize=64)
def _everywhere(n_cells: int, device: torch.device) -> Float[Tensor, "1 cells"]:
    """Return `present` of windows without holes. Sheets with equally large windows have the same tensor."""
    return torch.ones(1, n_cells, device=device)


@lru_cache(maxsize=64)
def _nearness_of_squares(
    shape: tuple[int, int], metric: str, shuffled: bool, device: torch.device
) -> Float[Tensor, "1 cells cells"]:
    """Return `nearness` of square windows. Sheets with equal windows have the same tensor.

    Args:
        shape: Height and width of a window, in cells.
        metric: Distance between two cells.
        shuffled: Whether to shuffle the nearness values.
        device: Device of the tensor.
    """
    nearness = nearness_in(shape, metric)
    if shuffled:
        nearness = shuffled_nearness(nearness, shape)
    return torch.from_numpy(nearness).to(device, torch.float32)[None]


def _each_shuffled(
    nearness: Float[np.ndarray, "windows units units"], present: Bool[np.ndarray, "windows units"]
) -> Float[np.ndarray, "windows units units"]:
    """Return the nearness of windows that are no squares, shuffled among the pairs of units of each window."""
    rng, shuffled = np.random.default_rng(0), nearness.copy()
    for matrix, here in zip(shuffled, present, strict=True):
        units = np.flatnonzero(here)
        i, j = (units[side] for side in np.triu_indices(len(units), 1))
        matrix[i, j] = matrix[j, i] = rng.permutation(matrix[i, j])
    return shuffled


def shuffled_nearness(nearness: Float[np.ndarray, "cells cells"], shape: tuple[int, int]) -> np.ndarray:
    """Return the nearness of each two cells of a window, shuffled among the pairs of cells.

    All windows of a sheet have the same shuffled values. Each pair of cells of the sheet lies in several windows, at
    other places of them. Over these, a random permutation keeps a weak order: with windows of 3x3 cells, its sum by
    displacement can go against nearness as strongly as r = -0.4. So of some random permutations, that one is taken for
    which this correlation is smallest.

    Args:
        nearness: The nearness of each two cells.
        shape: Height and width of a window, in cells.
    """
    i, j = np.triu_indices(len(nearness), 1)
    cells = np.stack(np.divmod(np.arange(len(nearness)), shape[1]), axis=1)
    down, across = (cells[j] - cells[i]).T
    displacement = np.unique(down * 2 * shape[1] + across, return_inverse=True)[1]
    values = nearness[i, j] - nearness[i, j].mean()

    def by_displacement(order: np.ndarray) -> np.ndarray:
        return np.bincount(displacement, values[order])

    rng, true = np.random.default_rng(0), by_displacement(np.arange(len(values)))
    orders = [rng.permutation(len(values)) for _ in range(_PERMUTATIONS)]
    best = min(orders, key=lambda order: abs(_correlation(by_displacement(order), true)))
    shuffled = nearness.copy()
    shuffled[i, j] = shuffled[j, i] = nearness[i, j][best]
    return shuffled


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two arrays; 0 if one is constant."""
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else 0.0
