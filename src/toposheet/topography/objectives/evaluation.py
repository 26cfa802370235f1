"""From moments to losses: the loss of each window, and the gradient with respect to the activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from toposheet.topography.objectives import tensor_cores
from toposheet.topography.objectives.moments import Moments, Responses, Scratch, gradients_of_products, moments
from toposheet.topography.objectives.objective import OnActivations
from toposheet.topography.objectives.similarity import WindowPairs, similarities_, through_norms_
from toposheet.topography.objectives.windows import Windows

# Number of windows that are computed together. On a CPU their pairs fit into the cache of a core; on a GPU they use
# the whole GPU.
_BLOCK = {"cpu": 64}
_BLOCK_ELSEWHERE = 512


class View(NamedTuple):
    """The windows of one sheet whose loss is computed, and the units whose products are needed for it.

    Args:
        windows: The windows whose loss is computed.
        n_units: Number of units of the sheet.
        read: The numbers of the units of each window; products are then computed window by window. None: products are
            computed once for all pairs of units of the sheet, because this takes less time.
    """

    windows: Windows
    n_units: int
    read: Int[Tensor, "windows cells"] | None

    @classmethod
    def of(cls, windows: Windows, taps: Responses) -> View:
        """Return the view of some windows of a sheet.

        Args:
            windows: The windows.
            taps: The responses of the units of each tap of the sheet.
        """
        units, n_units = windows.units, sum(x.shape[1] for x in taps)
        one_by_one = 3 * len(units) * units.shape[1] ** 2 < 2 * n_units**2 and not tensor_cores.can_compute(taps)
        return cls(windows, n_units, units if one_by_one else None)

    def take(self, part: Moments, block: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return three arrays of a block of windows: products, means, and 1 for each cell with a unit (0 for a hole).

        Args:
            part: The moments of the sheet.
            block: Which windows.
        """
        windows = self.windows.chosen_windows(block)
        if self.read is not None:
            return part.products[block], part.mean[block], windows.present
        pairs = self._pairs(windows.units)
        products = part.products.flatten().index_select(0, pairs.flatten()).view_as(pairs)
        return products, part.mean[0][windows.units], windows.present

    def put(
        self, weights: Tensor | None, part: Moments, block: slice, window_weights: Float[Tensor, "block _ _"]
    ) -> Tensor:
        """Add the gradient of a block of windows to the gradient with respect to all products, and return the sum.

        Args:
            weights: The gradient so far. None: this is the first block.
            part: The moments of the sheet.
            block: Which windows.
            window_weights: The gradient with respect to the products of the units of these windows.
        """
        if self.read is not None:
            return window_weights if weights is None else torch.cat([weights, window_weights])
        weights = torch.zeros_like(part.products) if weights is None else weights
        pairs = self._pairs(self.windows.units[block])
        weights.view(-1).index_add_(0, pairs.flatten(), window_weights.flatten())
        return weights

    def _pairs(self, units: Int[Tensor, "block cells"]) -> Int[Tensor, "block cells cells"]:
        # The index of each pair of a window among all pairs of the sheet. It is computed block by block, because the
        # table of all windows would not fit in memory.
        return units[:, :, None] * self.n_units + units[:, None, :]


def moments_of(
    sheets: Sequence[Responses], tokens: Int[Tensor, " tokens"] | None, views: Sequence[View], objective: OnActivations
) -> list[Moments]:
    """Return the moments that each sheet needs for the loss of its windows.

    Args:
        sheets: The responses of the taps of each sheet.
        tokens: Indices of the tokens to use. None: all tokens.
        views: The windows of each sheet.
        objective: The objective, which says whether products are centred.
    """
    scratch, parts = Scratch(), []
    for taps, view in zip(sheets, views, strict=True):
        if view.read is None and tensor_cores.can_compute(taps):
            parts.append(tensor_cores.moments_of_sheet(taps, tokens, scratch, objective.centred))
        else:
            parts.append(moments(taps, tokens, view.read, scratch, objective.centred))
    return parts


def evaluate(
    views: Sequence[View], parts: Sequence[Moments], objective: OnActivations
) -> tuple[Float[Tensor, " sheets"], list[Float[Tensor, "_ _ _"]]]:
    """Return the loss of each sheet, and the gradient of each loss with respect to the products of pairs of units.

    Sheets whose windows have the same number and the same shape are computed together.

    Args:
        views: The windows of each sheet.
        parts: The moments of each sheet.
        objective: The objective.
    """
    losses: list[Tensor] = [part.mean.new_zeros(()) for part in parts]
    weights: list[Tensor | None] = [None for _ in parts]
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, view in enumerate(views):
        alike.setdefault((*view.windows.units.shape, len(view.windows.present)), []).append(i)
    size = _BLOCK.get(parts[0].mean.device.type, _BLOCK_ELSEWHERE)
    for (n_windows, *_), group in alike.items():
        for same_shape in _split(group, max(1, size // n_windows)):
            nearness = torch.stack([views[i].windows.nearness for i in same_shape])[:, None]
            for first in range(0, n_windows, size):
                block = slice(first, first + size)
                stacked = zip(*(views[i].take(parts[i], block) for i in same_shape), strict=True)
                products, mean, present = (torch.stack(tensors) for tensors in stacked)
                r, scale = similarities_(products, mean, parts[0].n)  # n is the same for all sheets
                values, gradient = objective.losses(r, WindowPairs.of(present, nearness))
                gradient = through_norms_(gradient, r, scale / n_windows**0.5)
                for i, loss, window_weights in zip(same_shape, values.sum(dim=1) / n_windows, gradient, strict=True):
                    losses[i] = losses[i] + loss
                    weights[i] = views[i].put(weights[i], parts[i], block, window_weights)
    return torch.stack(losses), [w for w in weights if w is not None]


def with_gradient(
    losses: Float[Tensor, " sheets"],
    sheets: Sequence[Responses],
    tokens: Int[Tensor, " tokens"] | None,
    views: Sequence[View],
    parts: Sequence[Moments],
    weights: Sequence[Float[Tensor, "_ _ _"]],
    processes: int = 1,
) -> Float[Tensor, " sheets"]:
    """Return the given losses, with the closed-form gradient with respect to the responses attached.

    Args:
        losses: The loss of each sheet, computed without a graph.
        sheets: The responses of the taps of each sheet, which get the gradient.
        tokens: Indices of the tokens that were used. None: all tokens.
        views: The windows of each sheet.
        parts: The moments of each sheet.
        weights: The gradient of each loss with respect to the products, from `evaluate`.
        processes: Factor of the gradient: the number of processes, if their gradients are averaged afterwards.
    """
    reads, means, taps = [v.read for v in views], [part.mean for part in parts], [x for taps in sheets for x in taps]
    counts = [len(taps) for taps in sheets]
    return _WithGradient.apply(losses, processes, tokens, reads, counts, *means, *weights, *taps)  # pyright: ignore


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        losses: Tensor,
        processes: int,
        tokens: Tensor | None,
        reads: list[Tensor | None],
        counts: list[int],
        *tensors: Tensor,
    ) -> Tensor:
        ctx.processes, ctx.tokens, ctx.reads, ctx.counts = processes, tokens, reads, counts
        ctx.save_for_backward(*tensors)
        return losses.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        n = len(ctx.reads)
        means, weights, taps = ctx.saved_tensors[:n], ctx.saved_tensors[n : 2 * n], list(ctx.saved_tensors[2 * n :])
        sheets = [[taps.pop(0) for _ in range(count)] for count in ctx.counts]
        factors = gradients[0] * ctx.processes
        tap_gradients, scratch = [], Scratch()
        for x, read, mean, w, factor in zip(sheets, ctx.reads, means, weights, factors.unbind(), strict=True):
            if read is None and tensor_cores.can_compute(x):
                tap_gradients += tensor_cores.gradients_of_products_of_sheet(x, ctx.tokens, mean, w * factor, scratch)
            else:
                tap_gradients += gradients_of_products(x, ctx.tokens, read, mean, w * factor, scratch)
        return None, None, None, None, None, *[None] * (2 * n), *tap_gradients


def _split(items: list[int], size: int) -> list[list[int]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
