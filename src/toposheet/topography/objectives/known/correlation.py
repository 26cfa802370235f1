"""TopoLM's objective: the loss is small if correlations between units follow their nearness on the sheet."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from toposheet.topography.objectives.objective import OnActivations
from toposheet.topography.objectives.similarity import WindowPairs, sums


def correlation_losses(
    r: Float[Tensor, "*windows cells cells"], pairs: WindowPairs
) -> tuple[Float[Tensor, "*windows"], Float[Tensor, "*windows cells cells"]]:
    """Return (1 - corr(r, d)) / 2 of each window (TopoLM, arXiv:2410.11516), and its gradient with respect to r.

    Args:
        r: Pearson correlations between the units of each window. They are used as working memory.
        pairs: Which pairs of cells have two units, and the nearness d of each pair.
    """
    n = sums(pairs.present)
    d = pairs.present * (pairs.nearness - sums(pairs.present * pairs.nearness) / n)
    d *= sums(d * d).clamp_min(1e-20).rsqrt()
    r *= pairs.present
    centred = torch.addcmul(r, pairs.present, sums(r) / n, value=-1)
    square = torch.linalg.vector_norm(centred, dim=(-2, -1), keepdim=True).square()
    # If the correlations of a window differ only by rounding in float32, the loss is 0.5, without gradient.
    scale = torch.where(square > 1e-13 * n, square, torch.inf).rsqrt()
    corr = sums(centred * d) * scale
    gradient = centred.mul_(corr * scale * scale / 2).addcmul_(d, scale, value=-0.5)
    return (1 - corr.squeeze((-2, -1))) / 2, gradient


OBJECTIVE = OnActivations(correlation_losses)
