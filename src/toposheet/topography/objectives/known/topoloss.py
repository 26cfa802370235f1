"""TopoLoss: the loss is small if blurring the sheet changes the weights of its units little."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toposheet.errors import UserError
from toposheet.sheet import Sheet
from toposheet.topography.objectives.objective import OnWeights
from toposheet.topography.objectives.similarity import cosines

# To blur a sheet, TopoLoss shrinks it by this factor. The factor is that of the example in the published code.
_BLUR = 3.0


def topoloss(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return 1 - cosine(W, blur(W)), averaged over units (TopoLoss, Deb et al. 2025, arXiv:2501.16396).

    To blur a sheet, it is shrunk to a third and then enlarged to its first size, both by bilinear interpolation. Sizes
    and scales are those of the published code: the small sheet has floor(side / 3) cells a side, and each stands for 3
    cells. A hole gets the mean weights of all units, and its cosine does not count.

    Args:
        weights: Input weights of each unit.
        sheet: The sheet with the place of each unit.

    Returns:
        0 if all units near each other have the same weights; about 1 if the weights of neighbours are unrelated.

    Raises:
        UserError: A side of the sheet has fewer than 3 cells.
    """
    if min(sheet.shape) < _BLUR:
        raise UserError(
            f"the sheet of {sheet.shape[0]}x{sheet.shape[1]} is too small for topoloss: use at least 3x3 cells"
        )
    y, x = torch.from_numpy(sheet.coordinates.T.copy()).to(weights.device)
    grid = weights.mean(dim=1)[:, None, None].expand(-1, *sheet.shape).clone()
    grid[:, y, x] = weights
    small = functional.interpolate(grid[None], scale_factor=(1 / _BLUR, 1 / _BLUR), mode="bilinear")
    blurred = functional.interpolate(small, size=sheet.shape, mode="bilinear")[0]
    return 1 - cosines(weights, blurred[:, y, x]).mean()


OBJECTIVE = OnWeights(topoloss)
