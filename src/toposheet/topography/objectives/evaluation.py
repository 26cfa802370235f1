"""From moments to losses: what an objective makes of windows, and the gradient that goes back to the activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from toposheet.topography.objectives.moments import Moments, Scratch, gradients_of_products, groups, moments
from toposheet.topography.objectives.similarity import (
    Pairs,
    correlation_losses,
    similarities_,
    squared_differences,
    through_norms_,
)
from toposheet.topography.objectives.windows import Windows


class Objective(NamedTuple):
    """What is made of the similarities of the units of a window, and how these are computed."""

    losses: Callable[[Tensor, Pairs], tuple[Tensor, Tensor]]
    centred: bool = True  # Pearson correlation, or else cosine
    shuffled: bool = False


ON_ACTIVATIONS = {
    "correlation": Objective(correlation_losses),
    "shuffled_correlation": Objective(correlation_losses, shuffled=True),
    "squared_difference": Objective(squared_differences, centred=False),
}

# Windows worked through at a time: their pairs fit the cache of a CPU core, or fill a GPU.
_BLOCK = {"cpu": 64}
_BLOCK_ELSEWHERE = 512


class View(NamedTuple):
    """What is looked at on one sheet.

    Args:
        windows: The windows whose loss is asked for.
        read: The units whose products are computed: those of each window; none for all units of the sheet at once,
            where that is less work.
        pairs: In the latter case, where the pairs of units of each window are among all pairs.
    """

    windows: Windows
    read: Int[Tensor, "reads units"] | None
    pairs: Int[Tensor, "windows cells cells"] | None

    @classmethod
    def of(cls, windows: Windows, n_units: int) -> View:
        """Return the view of some windows of a sheet of `n_units`."""
        units = windows.units
        if 3 * len(units) * units.shape[1] ** 2 < 2 * n_units**2:
            return cls(windows, units, None)
        return cls(windows, None, units[:, :, None] * n_units + units[:, None, :])

    def some(self, part: Moments, block: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return products and means of the units of some of the windows, and which cells have units."""
        there = self.windows.there if len(self.windows.there) == 1 else self.windows.there[block]
        if self.pairs is None:
            return part.products[block], part.mean[block], there
        pairs = self.pairs[block]
        products = part.products.flatten().index_select(0, pairs.flatten()).view_as(pairs)
        return products, part.mean[0][self.windows.units[block]], there

    def gather(
        self, weights: Tensor | None, part: Moments, block: slice, of_windows: Float[Tensor, "some cells cells"]
    ) -> Tensor:
        """Return the gradient by all products that were read, with that by the products of some windows added."""
        if self.pairs is None:
            return of_windows if weights is None else torch.cat([weights, of_windows])
        weights = torch.zeros_like(part.products) if weights is None else weights
        weights.view(-1).index_add_(0, self.pairs[block].flatten(), of_windows.flatten())
        return weights


def evaluate(
    views: Sequence[View], parts: Sequence[Moments], objective: Objective
) -> tuple[Float[Tensor, " sheets"], list[Float[Tensor, "reads units units"]]]:
    """Return the loss of each sheet, and its gradient with respect to the products of pairs of units.

    Sheets with equally many windows of equal size are worked through together.
    """
    losses: list[Tensor] = [part.mean.new_zeros(()) for part in parts]
    weights: list[Tensor | None] = [None for _ in parts]
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, view in enumerate(views):
        alike.setdefault((*view.windows.units.shape, len(view.windows.there)), []).append(i)
    block = _BLOCK.get(parts[0].mean.device.type, _BLOCK_ELSEWHERE)
    for (n_windows, *_), group in alike.items():
        for together in _split(group, max(1, block // n_windows)):
            nearness = torch.stack([views[i].windows.nearness for i in together])[:, None]
            for first in range(0, n_windows, block):
                some = slice(first, first + block)
                of_sheets = zip(*(views[i].some(parts[i], some) for i in together), strict=True)
                products, mean, there = (torch.stack(tensors) for tensors in of_sheets)
                # Below the rounding of float32 a spread is no response. All sheets saw the same tokens.
                silent_below = parts[0].n * (1e-6 * mean) ** 2 + 1e-30
                r, scale = similarities_(products, silent_below)
                values, gradient = objective.losses(r, Pairs.of(there, nearness))
                gradient = through_norms_(gradient, r, scale / n_windows**0.5)
                for i, loss, of_windows in zip(together, values.sum(dim=1) / n_windows, gradient, strict=True):
                    losses[i] = losses[i] + loss
                    weights[i] = views[i].gather(weights[i], parts[i], some, of_windows)
    return torch.stack(losses), [w for w in weights if w is not None]


def _split(items: list[int], size: int) -> list[list[int]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def with_gradient(
    losses: Float[Tensor, " sheets"],
    samples: Sequence[Float[Tensor, "samples units"]],
    some: Int[Tensor, " some"] | None,
    views: Sequence[View],
    parts: Sequence[Moments],
    weights: Sequence[Float[Tensor, "windows cells cells"]],
    processes: int = 1,
) -> Float[Tensor, " sheets"]:
    """Return losses that were evaluated without a graph, with the gradient that the samples have a share in."""
    reads, means = [view.read for view in views], [part.mean for part in parts]
    return _WithGradient.apply(losses, processes, some, reads, *samples, *means, *weights)  # pyright: ignore


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, losses: Tensor, processes: int, some: Tensor | None, reads: list[Tensor | None], *tensors: Tensor
    ) -> Tensor:
        ctx.processes, ctx.some, ctx.reads = processes, some, reads
        ctx.save_for_backward(*tensors)
        return losses.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        n = len(ctx.reads)
        samples, means, weights = (ctx.saved_tensors[first : first + n] for first in (0, n, 2 * n))
        weights = [w * factor for w, factor in zip(weights, (gradients[0] * ctx.processes).unbind(), strict=True)]
        of_samples, scratch = [], Scratch()
        for group in groups(ctx.reads, _looked_at(samples, ctx.some), means[0].device):
            x, reads, mean, weight = ([values[i] for i in group] for values in (samples, ctx.reads, means, weights))
            of_samples += gradients_of_products(x, ctx.some, reads, mean, weight, scratch)
        return None, None, None, None, *of_samples, *[None] * (2 * n)


def moments_of(
    samples: Sequence[Float[Tensor, "samples _"]],
    some: Int[Tensor, " some"] | None,
    views: Sequence[View],
    objective: Objective,
) -> list[Moments]:
    """Return the moments of what is looked at on each sheet."""
    reads, scratch, found = [view.read for view in views], Scratch(), []
    for group in groups(reads, _looked_at(samples, some), samples[0].device):
        found += moments([samples[i] for i in group], some, [reads[i] for i in group], scratch, objective.centred)
    return found


def _looked_at(samples: Sequence[Tensor], some: Tensor | None) -> int:
    return len(samples[0] if some is None else some)
