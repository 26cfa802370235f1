"""Sums of products of units, window by window: what correlations are made of, in one pass over the tokens."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Tokens worked through at a time: small enough for the cache of a CPU core, large enough to fill a GPU. Nothing but
# the gradient itself then grows with the number of tokens.
_CHUNK = {"cpu": 512}
_CHUNK_ELSEWHERE = 8192


def window_products(
    x: Float[Tensor, "samples units"], windows: Int[Tensor, "windows cells"]
) -> tuple[Float[Tensor, "windows cells cells"], Float[Tensor, "windows cells"]]:
    """Return sum_n (x_ni - mean_i)(x_nj - mean_j) for all pairs of units i, j of each window, and the means.

    Sums are in float32 whatever the precision of x. The gradient of the products is written by hand: it reads the
    samples again instead of keeping a copy of them for every window. The means carry no gradient.

    Args:
        x: Responses of units to samples (tokens).
        windows: Indices of the units of each window; every index must be one of a unit.
    """
    return _WindowProducts.apply(x, windows)  # pyright: ignore[reportReturnType]


class _WindowProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        cells = windows.flatten()
        mean = x.mean(dim=0, dtype=torch.float32).index_select(0, cells)
        products = torch.zeros((*windows.shape, windows.shape[1]), dtype=torch.float32, device=x.device)
        for part in _chunks(x):
            z = (part.index_select(1, cells).float() - mean).T.unflatten(0, windows.shape)
            products.baddbmm_(z, z.mT)
        ctx.save_for_backward(x, windows, mean)
        mean = mean.view(windows.shape)
        ctx.mark_non_differentiable(mean)
        return products, mean

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # d products_ij / d x_ni = z_nj, and z sums to zero over samples, so the mean adds nothing.
        x, windows, mean = ctx.saved_tensors
        cells = windows.flatten()
        both = gradients[0] + gradients[0].mT
        gradient = torch.zeros_like(x)
        for part, of_part in zip(_chunks(x), _chunks(gradient), strict=True):
            z = (part.index_select(1, cells).float() - mean).unflatten(1, windows.shape).transpose(0, 1)
            of_part.index_add_(1, cells, (z @ both).transpose(0, 1).flatten(1).to(x.dtype))
        return gradient, None


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(_CHUNK.get(x.device.type, _CHUNK_ELSEWHERE))
