"""The windows that an objective looks at in one step, as tables on the device of the activations."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.sheet import Neighborhoods, Sheet


class Windows(NamedTuple):
    """Windows of one sheet.

    Args:
        units: The unit in each cell of each window; in a hole any unit, which `present` leaves out.
        present: 1 for a unit, 0 for a hole; one row for all windows where there are no holes.
        nearness: d = 1 / (1 + distance) between every two cells of a window.
    """

    units: Int[Tensor, "windows cells"]
    present: Float[Tensor, "rows cells"]
    nearness: Float[Tensor, "cells cells"]

    def chosen_windows(self, chosen: Int[Tensor, " chosen"] | slice) -> Windows:
        """Return some of the windows."""
        present = self.present if len(self.present) == 1 else self.present[chosen]
        return Windows(self.units[chosen], present, self.nearness)


@torch.compiler.assume_constant_result
def windows_of(sheet: Sheet, radius: int, metric: str, window: str, shuffled: bool, device: torch.device) -> Windows:
    """Return the windows of a sheet, built once; inside `torch.compile` they are constants.

    Args:
        sheet: The sheet.
        radius: In cells.
        metric: Of distances, see `Neighborhoods.of`.
        window: Open or closed, see there.
        shuffled: Whether each pair of cells gets the nearness of another pair, drawn once and for all: the control
            that has no topography to learn.
        device: Where the tables are needed.
    """
    return _windows_in(sheet, radius, metric, window, shuffled, device)


@lru_cache(maxsize=1024)
def _windows_in(sheet: Sheet, radius: int, metric: str, window: str, shuffled: bool, device: torch.device) -> Windows:
    table = Neighborhoods.of(sheet, radius, metric, window)
    present = table.units >= 0
    nearness = table.nearness
    if shuffled:
        i, j = np.triu_indices(len(nearness), 1)
        nearness = nearness.copy()
        nearness[i, j] = nearness[j, i] = np.random.default_rng(0).permutation(nearness[i, j])
    return Windows(
        units=torch.from_numpy(np.maximum(table.units, 0)).to(device),
        present=torch.from_numpy(present[:1] if present.all() else present).to(device, torch.float32),
        nearness=torch.from_numpy(nearness).to(device, torch.float32),
    )
