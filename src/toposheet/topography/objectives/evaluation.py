"""From moments to losses: the loss of each window, and the gradient with respect to the activations."""

from __future__ import annotations

import itertools
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

# The most units of sheets that are computed together. Their responses to a chunk of tokens take 4 MB on a CPU, where
# they fit into the cache, and 0.3 GB on a GPU.
_UNITS = {"cpu": 2048}
_UNITS_ELSEWHERE = 8192


class View(NamedTuple):
    """The windows whose loss is computed, and the units whose products are needed for it.

    Args:
        windows: The windows of each sheet. Several sheets have equally many units and windows.
        n_units: Number of units of each sheet.
        one_by_one: Whether products are computed window by window, which needs one sheet. Otherwise they are computed
            for all pairs of units of each sheet, and for all sheets together, because this takes less time.
        on_tensor_cores: Whether tensor cores compute the products of all pairs, which needs one sheet too.
    """

    windows: tuple[Windows, ...]
    n_units: int
    one_by_one: bool = False
    on_tensor_cores: bool = False

    @classmethod
    def of(cls, windows: Windows, taps: Responses) -> View:
        """Return the view of some windows of a sheet.

        Args:
            windows: The windows.
            taps: The responses of the units of each tap of the sheet.
        """
        units, n_units = windows.units, sum(x.shape[1] for x in taps)
        few, on_tensor_cores = 5 * units.numel() * units.shape[1] < 2 * n_units**2, tensor_cores.can_compute(taps)
        return cls((windows,), n_units, few and not on_tensor_cores, on_tensor_cores)

    @property
    def read(self) -> Int[Tensor, "windows cells"] | None:
        """The numbers of the units of each window, if products are computed window by window. None: all units."""
        return self.windows[0].units if self.one_by_one else None

    @property
    def shape(self) -> tuple[int, ...]:
        """What must be equal in views that are evaluated together."""
        windows = self.windows[0]
        return (*windows.units.shape, windows.present.shape[0], windows.nearness.shape[0])

    def take(self, part: Moments, block: slice) -> Taken:
        """Return what the loss of some windows is computed from.

        Args:
            part: The moments of the sheets.
            block: Which windows. The pairs of all windows would not fit in memory.
        """
        chosen = [windows.chosen_windows(block) for windows in self.windows]
        present, nearness = [windows.present for windows in chosen], [windows.nearness for windows in chosen]
        if self.one_by_one:
            return Taken(part.products[None, block], part.mean[None, block], present, nearness, None)
        units = torch.stack([windows.units for windows in chosen])
        pairs = (units[..., :, None] * self.n_units + units[..., None, :]).flatten(1)
        products = part.products.flatten(1).gather(1, pairs).view(*units.shape, units.shape[-1])
        return Taken(products, part.mean.gather(1, units.flatten(1)).view_as(units), present, nearness, pairs)

    def put(
        self,
        weights: Tensor | None,
        part: Moments,
        pairs: Tensor | None,
        block: slice,
        window_weights: Float[Tensor, "sheets block _ _"],
    ) -> Tensor:
        """Return the gradient with respect to the products, with that of some more windows.

        Args:
            weights: The gradient so far. None: these are the first windows.
            part: The moments of the sheets.
            pairs: The pairs of these windows.
            block: Which windows.
            window_weights: The gradient with respect to the products of the units of these windows.
        """
        if pairs is None:
            (window_weights,) = window_weights
            if window_weights.shape == part.products.shape:
                return window_weights
            weights = torch.empty_like(part.products) if weights is None else weights
            weights[block] = window_weights
            return weights
        weights = torch.zeros_like(part.products) if weights is None else weights
        weights.flatten(1).scatter_add_(1, pairs, window_weights.flatten(1))
        return weights


class Taken(NamedTuple):
    """What the loss of some windows is computed from. The first axis is the sheet.

    Args:
        products: The products of the units of each window.
        mean: The mean response of each unit.
        present: For each sheet, 1 for each cell with a unit, 0 for a hole.
        nearness: For each sheet, the nearness of each two cells.
        pairs: The number of each pair of units among all pairs of its sheet. None: products are those of windows.
    """

    products: Float[Tensor, "sheets windows cells cells"]
    mean: Float[Tensor, "sheets windows cells"]
    present: list[Float[Tensor, "rows cells"]]
    nearness: list[Float[Tensor, "matrices cells cells"]]
    pairs: Int[Tensor, "sheets pairs"] | None


def together(views: Sequence[View], sheets: Sequence[Responses]) -> list[View]:
    """Return views in which neighbouring sheets with equal taps are one view, if all pairs of their units are computed.

    Fewer and larger operations take less time.

    Args:
        views: The view of each sheet.
        sheets: The responses of the taps of each sheet.
    """
    result: list[View] = []
    most, before = _UNITS.get(sheets[0][0].device.type, _UNITS_ELSEWHERE), None
    for view, taps in zip(views, sheets, strict=True):
        kind = None
        if not view.one_by_one and not view.on_tensor_cores:
            kind = (view.shape, [x.shape[1] for x in taps])
        if kind is not None and kind == before and (len(result[-1].windows) + 1) * view.n_units <= most:
            result[-1] = result[-1]._replace(windows=(*result[-1].windows, *view.windows))
        else:
            result.append(view)
        before = kind
    return result


def moments_of(
    sheets: Sequence[Responses], tokens: Int[Tensor, " tokens"] | None, views: Sequence[View], objective: OnActivations
) -> list[Moments]:
    """Return the moments that each view needs for the loss of its windows.

    Args:
        sheets: The responses of the taps of each sheet.
        tokens: Indices of the tokens to use. None: all tokens.
        views: The windows of the sheets, in their order.
        objective: The objective, which says whether products are centred.
    """
    scratch, parts = Scratch(), []
    for view, of_view in zip(views, _split(sheets, [len(view.windows) for view in views]), strict=True):
        if view.on_tensor_cores:
            parts.append(tensor_cores.moments_of_sheet(of_view[0], tokens, scratch, objective.centred))
        else:
            parts.append(moments(of_view, tokens, view.read, scratch, objective.centred))
    return parts


def evaluate(
    views: Sequence[View], parts: Sequence[Moments], objective: OnActivations, learning: bool = True
) -> tuple[Float[Tensor, " sheets"], list[Float[Tensor, "_ _ _"]]]:
    """Return the loss of each sheet, and the gradient of the losses of each view with respect to its products.

    Sheets whose windows have the same number and the same shape are computed together.

    Args:
        views: The windows of the sheets.
        parts: The moments of each view.
        objective: The objective.
        learning: Whether the gradient is needed. False: the list of gradients is empty.
    """
    losses: list[Tensor] = [part.mean.new_zeros(len(view.windows)) for view, part in zip(views, parts, strict=True)]
    weights: list[Tensor | None] = [None for _ in parts]
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, view in enumerate(views):
        alike.setdefault(view.shape, []).append(i)
    size = _BLOCK.get(parts[0].mean.device.type, _BLOCK_ELSEWHERE)
    for (n_windows, *_), same_shape in alike.items():
        for group in _packed(same_shape, views, max(1, size // n_windows)):
            counts = [len(views[i].windows) for i in group]
            step = min(n_windows, max(1, size // sum(counts)))
            for first in range(0, n_windows, step):
                block = slice(first, first + step)
                taken = [views[i].take(parts[i], block) for i in group]
                products, mean, presents, near, pairs = zip(*taken, strict=True)
                products, mean = (x[0] if len(x) == 1 else torch.cat(x) for x in (products, mean))
                present, nearness = (_stacked(list(itertools.chain(*of_views))) for of_views in (presents, near))
                r, scale = similarities_(products, mean, parts[0].n, present)  # n is the same for all sheets
                values, gradient = objective.losses(r, WindowPairs.of(present, nearness))
                for i, loss in zip(group, (values.sum(dim=1) / n_windows).split(counts), strict=True):
                    losses[i] = losses[i] + loss
                if learning:
                    gradient = through_norms_(gradient, r, scale / n_windows**0.5).split(counts)
                    for i, p, window_weights in zip(group, pairs, gradient, strict=True):
                        weights[i] = views[i].put(weights[i], parts[i], p, block, window_weights)
    return torch.cat(losses), [w for w in weights if w is not None]


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
        views: The windows of the sheets.
        parts: The moments of each view.
        weights: The gradient of the losses with respect to the products, from `evaluate`.
        processes: Factor of the gradient: the number of processes, if their gradients are averaged afterwards.
    """
    kept = [x for part in parts for x in (part.mean, part.deviations)]
    taps, counts = [x for taps in sheets for x in taps], [len(taps) for taps in sheets]
    return _WithGradient.apply(losses, processes, tokens, list(views), counts, *kept, *weights, *taps)  # pyright: ignore


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        losses: Tensor,
        processes: int,
        tokens: Tensor | None,
        views: list[View],
        counts: list[int],
        *tensors: Tensor | None,
    ) -> Tensor:
        ctx.processes, ctx.tokens, ctx.views, ctx.counts = processes, tokens, views, counts
        ctx.save_for_backward(*tensors)
        return losses.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        n = len(ctx.views)
        kept, weights, taps = _split(ctx.saved_tensors, [2 * n, n, len(ctx.saved_tensors) - 3 * n])
        n_sheets = [len(view.windows) for view in ctx.views]
        sheets = _split(_split(taps, ctx.counts), n_sheets)
        doubled = (gradients[0] * (2 * ctx.processes))[:, None, None].split(n_sheets)
        tap_gradients, scratch = [], Scratch()
        for of_view, view, (mean, deviations), w, factor in zip(
            sheets, ctx.views, _split(kept, [2] * n), weights, doubled, strict=True
        ):
            twice = w * factor
            if view.on_tensor_cores:
                tap_gradients += tensor_cores.gradients_of_products_of_sheet(
                    of_view[0], ctx.tokens, mean, twice, scratch
                )
            else:
                tap_gradients += gradients_of_products(of_view, ctx.tokens, view.read, mean, deviations, twice, scratch)
        return None, None, None, None, None, *[None] * (3 * n), *tap_gradients


def _stacked(equal: Sequence[Tensor]) -> Tensor:
    """Return tensors of equal shape as one, stacked. If all are the same object, one row stands for all."""
    first = equal[0]
    return first[None] if all(x is first for x in equal) else torch.stack(list(equal))


def _split(items: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    """Return the items in parts with given numbers of items."""
    rest = iter(items)
    return [list(itertools.islice(rest, count)) for count in counts]


def _packed(numbers: Sequence[int], views: Sequence[View], at_most: int) -> list[list[int]]:
    """Return views in groups with at most a number of sheets, or of one view.

    Args:
        numbers: The numbers of the views.
        views: All views.
        at_most: The number of sheets.
    """
    groups, held = [], 0
    for i in numbers:
        if groups and held + len(views[i].windows) <= at_most:
            groups[-1].append(i)
        else:
            groups.append([i])
            held = 0
        held += len(views[i].windows)
    return groups
