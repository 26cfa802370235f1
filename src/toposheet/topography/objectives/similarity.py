"""How alike the units of a window are: values, with gradients in closed form.

Closed forms save the graph of a dozen small operations, which would cost as much as the products themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class WindowPairs(NamedTuple):
    """The pairs of units of windows. Each pair counts twice, as (i, j) and as (j, i): the same values.

    Args:
        present: 1 for a pair of two units, 0 for a unit with itself or with a hole.
        nearness: d = 1 / (1 + distance) of the two places.
    """

    present: Float[Tensor, "*#windows cells cells"]
    nearness: Float[Tensor, "*#windows cells cells"]

    @classmethod
    def of(
        cls, units: Float[Tensor, "*#windows cells"], nearness: Float[Tensor, "*#windows cells cells"]
    ) -> WindowPairs:
        """Return the pairs of windows in which `units` is 1 for a unit and 0 for a hole."""
        return cls(units[..., :, None] * units[..., None, :] - torch.diag_embed(units), nearness)


def similarities_(
    products: Float[Tensor, "*windows cells cells"], mean: Float[Tensor, "*windows cells"], n: float | Tensor
) -> tuple[Float[Tensor, "*windows cells cells"], Float[Tensor, "*windows cells"]]:
    """Turn products into products / norms, in place: Pearson correlations if centred. Return also one over the norms.

    A silent unit is 0 to all others and gets no gradient. Silent is a spread below the rounding of the mean in float32,
    or below 1 / 30,000 of the root mean square spread of the window's units.
    """
    square = products.diagonal(dim1=-2, dim2=-1)
    silent_below = n * (1e-6 * mean) ** 2 + 1e-9 * square.mean(dim=-1, keepdim=True) + 1e-30
    scale = torch.where(square > silent_below, square, torch.inf).rsqrt()
    return products.mul_(scale[..., :, None]).mul_(scale[..., None, :]), scale


def through_norms_(
    gradient: Float[Tensor, "*windows cells cells"],
    r: Float[Tensor, "*windows cells cells"],
    scale: Float[Tensor, "*windows cells"],
) -> Float[Tensor, "*windows cells cells"]:
    """Turn the (symmetric) gradient by similarities into the one by products, in place; r is used up.

    r_ij = p_ij s_i s_j and s_i = p_ii^(-1/2), so that each p_ii moves a whole row and column of r.
    """
    diagonal = r.mul_(gradient).sum(dim=-1) * scale * scale
    gradient.mul_(scale[..., :, None]).mul_(scale[..., None, :])
    gradient.diagonal(dim1=-2, dim2=-1).sub_(diagonal)
    return gradient


def sums(x: Float[Tensor, "*#windows cells cells"]) -> Float[Tensor, "*#windows 1 1"]:
    """Return the sum over the pairs of each window."""
    return x.sum(dim=(-2, -1), keepdim=True)


def cosines(one: Float[Tensor, "inputs pairs"], other: Float[Tensor, "inputs pairs"]) -> Float[Tensor, " pairs"]:
    """Return the cosine of columns; 0, without gradient, where one has next to no length."""
    squares = one.square().sum(dim=0) * other.square().sum(dim=0)
    present = ~(squares <= 1e-12 * squares.detach().mean())  # so that nan stays nan
    return torch.where(present, (one * other).sum(dim=0) * torch.where(present, squares, 1.0).rsqrt(), 0.0)
