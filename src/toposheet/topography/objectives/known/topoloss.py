"""TopoLoss: weights that equal their blur over the sheet."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toposheet.errors import UserError
from toposheet.sheet import Sheet
from toposheet.topography.objectives.objective import OnWeights
from toposheet.topography.objectives.similarity import cosines

# TopoLoss shrinks the sheet by this factor to blur it, as the example of its published code does.
_BLUR = 3.0


def topoloss(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return 1 - cosine(W, blur(W)), mean over units: TopoLoss (Deb et al. 2025, arXiv:2501.16396).

    The sheet is blurred by shrinking it to a third and stretching it back, bilinearly, with the sizes and scales of
    the published code (a small sheet of floor(side / 3) cells, each 3 cells wide). A hole is filled with the mean of
    the units, and does not count.

    Args:
        weights: What each unit reads of its inputs.
        sheet: Where the units sit.

    Returns:
        0 where units of a neighbourhood have equal weights; about 1 where neighbours have nothing in common.

    Raises:
        UserError: the sheet is too small to shrink.
    """
    if min(sheet.shape) < _BLUR:
        raise UserError(f"topoloss shrinks a sheet to a third: {sheet.shape[0]}x{sheet.shape[1]} is too small")
    y, x = torch.from_numpy(sheet.coordinates.T.copy()).to(weights.device)
    grid = weights.mean(dim=1)[:, None, None].expand(-1, *sheet.shape).clone()
    grid[:, y, x] = weights
    small = functional.interpolate(grid[None], scale_factor=(1 / _BLUR, 1 / _BLUR), mode="bilinear")
    blurred = functional.interpolate(small, size=sheet.shape, mode="bilinear")[0]
    return 1 - cosines(weights, blurred[:, y, x]).mean()


OBJECTIVE = OnWeights(topoloss)
