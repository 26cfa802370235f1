"""Similarities between the units of a window, with gradients in closed form.

Autograd would build a graph of a dozen small operations here, which would cost as much time as the matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class WindowPairs(NamedTuple):
    """The pairs of units of windows.

    Each pair stands twice in the matrices, as (i, j) and as (j, i), with equal values.

    Args:
        present: 1 for a pair of two different units. 0 if a cell of the pair is a hole, and 0 for a unit with itself.
        nearness: d = 1 / (1 + distance) of the two cells.
    """

    present: Float[Tensor, "*#windows cells cells"]
    nearness: Float[Tensor, "*#windows cells cells"]

    @classmethod
    def of(
        cls, units: Float[Tensor, "*#windows cells"], nearness: Float[Tensor, "*#windows cells cells"]
    ) -> WindowPairs:
        """Return the pairs of units of windows.

        Args:
            units: 1 for each cell with a unit, 0 for a hole.
            nearness: d = 1 / (1 + distance) of each two cells.
        """
        return cls(units[..., :, None] * units[..., None, :] - torch.diag_embed(units), nearness)


def similarities_(
    products: Float[Tensor, "*windows cells cells"],
    mean: Float[Tensor, "*windows cells"],
    n: float | Tensor,
    present: Float[Tensor, "*#windows cells"],
) -> tuple[Float[Tensor, "*windows cells cells"], Float[Tensor, "*windows cells"]]:
    """Turn products into similarities, in place, and return them with the scale 1 / norm of each unit.

    similarity_ij = products_ij / (norm_i norm_j), with norm_i^2 = products_ii. If the products are centred,
    similarities are Pearson correlations; otherwise they are cosines. The similarity of a silent unit with every unit
    is 0, and a silent unit gets no gradient. A unit is silent if its spread is smaller than the rounding error of its
    mean in float32, or smaller than 1 / 30,000 of the root mean square spread of the units of the window.

    Args:
        products: Sums of products of the responses of each two units. They are overwritten.
        mean: Mean response of each unit.
        n: Number of samples (tokens).
        present: 1 for each cell with a unit, 0 for a hole.
    """
    square = products.diagonal(dim1=-2, dim2=-1)
    typical = (square * present).sum(dim=-1, keepdim=True) / present.sum(dim=-1, keepdim=True)
    silent_below = n * (1e-6 * mean) ** 2 + 1e-9 * typical + 1e-30
    scale = torch.where(square > silent_below, square, torch.inf).rsqrt()
    return products.mul_(scale[..., :, None]).mul_(scale[..., None, :]), scale


def through_norms_(
    gradient: Float[Tensor, "*windows cells cells"],
    r: Float[Tensor, "*windows cells cells"],
    scale: Float[Tensor, "*windows cells"],
) -> Float[Tensor, "*windows cells cells"]:
    """Turn the gradient with respect to similarities into the gradient with respect to products, in place.

    r_ij = p_ij s_i s_j with s_i = p_ii^(-1/2). A change of p_ii thus changes a whole row and a whole column of r.

    Args:
        gradient: Symmetric gradient with respect to the similarities. It is overwritten.
        r: The similarities. They are overwritten.
        scale: s_i = 1 / norm of each unit.
    """
    diagonal = r.mul_(gradient).sum(dim=-1) * scale * scale
    gradient.mul_(scale[..., :, None]).mul_(scale[..., None, :])
    gradient.diagonal(dim1=-2, dim2=-1).sub_(diagonal)
    return gradient


def sums(x: Float[Tensor, "*#windows cells cells"]) -> Float[Tensor, "*#windows 1 1"]:
    """Return the sum over all pairs of cells of each window."""
    return x.sum(dim=(-2, -1), keepdim=True)


def cosines(one: Float[Tensor, "inputs pairs"], other: Float[Tensor, "inputs pairs"]) -> Float[Tensor, " pairs"]:
    """Return the cosine between each column of one matrix and the same column of the other matrix.

    It is 0, without gradient, if one of the two columns has a length of nearly 0.
    """
    squares = one.square().sum(dim=0) * other.square().sum(dim=0)
    present = ~(squares <= 1e-12 * squares.detach().mean())  # not `>`, so that nan counts as present and stays nan
    return torch.where(present, (one * other).sum(dim=0) * torch.where(present, squares, 1.0).rsqrt(), 0.0)
