"""Objectives on weights: units that lie side by side should read their inputs alike."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from toposheet.errors import UserError
from toposheet.sheet import Sheet

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
    return 1 - _cosine(weights, blurred[:, y, x]).mean()


def all_tnn(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return the mean cosine distance of neighbours' weights: All-TNN (Lu et al. 2025, doi:10.1038/s41562-025-02220-7).

    Neighbours share an edge; a hole has none.

    Args:
        weights: What each unit reads of its inputs.
        sheet: Where the units sit.

    Returns:
        0 where neighbours have equal weights, 1 where they have nothing in common, up to 2.

    Raises:
        UserError: no two units are neighbours.
    """
    unit_at = torch.full(sheet.shape, -1)
    y, x = torch.from_numpy(sheet.coordinates.T.copy())
    unit_at[y, x] = torch.arange(sheet.n_units)
    below = torch.stack([unit_at[:-1].flatten(), unit_at[1:].flatten()])
    beside = torch.stack([unit_at[:, :-1].flatten(), unit_at[:, 1:].flatten()])
    edges = torch.cat([below, beside], dim=1)
    ours, theirs = edges[:, (edges >= 0).all(dim=0)].to(weights.device)
    if len(ours) == 0:
        raise UserError("all_tnn compares neighbours, and no two units of the sheet share an edge: use a fuller sheet")
    return 1 - _cosine(weights[:, ours], weights[:, theirs]).mean()


def _cosine(one: Float[Tensor, "inputs pairs"], other: Float[Tensor, "inputs pairs"]) -> Float[Tensor, " pairs"]:
    """Return the cosine of columns; 0, without gradient, where one has next to no length."""
    squares = one.square().sum(dim=0) * other.square().sum(dim=0)
    there = ~(squares <= 1e-12 * squares.detach().mean())  # so that nan stays nan
    return torch.where(there, (one * other).sum(dim=0) * torch.where(there, squares, 1.0).rsqrt(), 0.0)


ON_WEIGHTS = {"topoloss": topoloss, "all_tnn": all_tnn}
