"""Objectives on weights: units that lie side by side should read their inputs alike."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toposheet.sheet import Sheet

# TopoLoss shrinks the sheet by this factor to blur it: the default of its published code's examples.
_BLUR = 3.0


def topoloss(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return 1 - cosine(W, blur(W)), mean over units: TopoLoss (Deb et al. 2025, arXiv:2501.16396).

    The sheet is blurred by shrinking it to a third, bilinearly, and stretching it back. A hole is filled with the
    mean of the units, and does not count.

    Args:
        weights: What each unit reads of its inputs.
        sheet: Where the units sit.

    Returns:
        0 where units of a neighbourhood have equal weights; about 1 where neighbours have nothing in common.
    """
    y, x = torch.from_numpy(sheet.coordinates.T.copy()).to(weights.device)
    grid = weights.mean(dim=1)[:, None, None].expand(-1, *sheet.shape).clone()
    grid[:, y, x] = weights
    small = [max(1, round(cells / _BLUR)) for cells in sheet.shape]
    blurred = functional.interpolate(grid[None], size=small, mode="bilinear")
    blurred = functional.interpolate(blurred, size=sheet.shape, mode="bilinear")[0]
    return 1 - functional.cosine_similarity(weights, blurred[:, y, x], dim=0).mean()


def all_tnn(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return the mean cosine distance of neighbours' weights: All-TNN (Lu et al. 2025, doi:10.1038/s41562-025-02220-7).

    Neighbours share an edge; a hole has none.

    Args:
        weights: What each unit reads of its inputs.
        sheet: Where the units sit.

    Returns:
        0 where neighbours have equal weights, 1 where they have nothing in common, up to 2.
    """
    unit_at = torch.full(sheet.shape, -1)
    y, x = torch.from_numpy(sheet.coordinates.T.copy())
    unit_at[y, x] = torch.arange(sheet.n_units)
    edges = torch.cat(
        [
            torch.stack([unit_at[:-1].flatten(), unit_at[1:].flatten()]),
            torch.stack([unit_at[:, :-1].flatten(), unit_at[:, 1:].flatten()]),
        ],
        dim=1,
    )
    ours, theirs = edges[:, (edges >= 0).all(dim=0)].to(weights.device)
    unit = functional.normalize(weights, dim=0)
    return 1 - (unit[:, ours] * unit[:, theirs]).sum(dim=0).mean()


ON_WEIGHTS = {"topoloss": topoloss, "all_tnn": all_tnn}
