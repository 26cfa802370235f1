"""What correlations are made of: counts, means and products of responses, which add up over any split of the tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.errors import UserError

# Tokens worked through at a time: small enough for the cache of a CPU core, large enough to fill a GPU. Nothing but
# the gradient itself then grows with the number of tokens.
_CHUNK = {"cpu": 512}
_CHUNK_ELSEWHERE = 8192

# The responses of the units of a sheet to samples (tokens), tap after tap, each (samples, units) of any precision.
Responses = Sequence[Float[Tensor, "samples _"]]


class Moments(NamedTuple):
    """The moments of the responses of the units of some windows, in float32.

    Args:
        n: How many samples (tokens) there were.
        mean: Mean response of each unit.
        products: sum_n (x_ni - mean_i)(x_nj - mean_j) for all pairs of units i, j of each window.
    """

    n: float | Tensor
    mean: Float[Tensor, "windows cells"]
    products: Float[Tensor, "windows cells cells"]

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of samples together (Chan et al. 1983, doi:10.2307/2683386)."""
        n = self.n + other.n
        step = other.mean - self.mean
        between = step * (self.n * other.n / n)
        products = (self.products + other.products).baddbmm_(between[:, :, None], step[:, None, :])
        return Moments(n, self.mean + step * (other.n / n), products)


class NotFiniteError(UserError):
    """Responses hold nan or inf, or numbers too large for float32."""

    def __init__(self, source: str = "the responses") -> None:
        super().__init__(f"{source} hold nan, inf or numbers too large for float32: look at the model and its input")


class Scratch:
    """Memory that is used again from chunk to chunk and from sheet to sheet: fresh memory costs page faults."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Return a float32 tensor with whatever was in it."""
        size = math.prod(shape)
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = torch.empty(size, dtype=torch.float32, device=device)
        return self._buffers[name][:size].view(*shape)


def moments(
    taps: Responses,
    tokens: Int[Tensor, " tokens"] | None,
    read: Int[Tensor, "windows cells"] | None,
    scratch: Scratch,
    centred: bool = True,
) -> Moments:
    """Return the moments of the responses of a sheet, window by window, in one pass over the samples.

    Args:
        taps: The responses of the units of the sheet.
        tokens: Which samples to look at, each once; none means all.
        read: Indices of the units of each window, every index one of a unit; none means all units in one window.
        scratch: Memory to work in.
        centred: Whether products are about the means. If not, means are zero and products plain.

    Raises:
        NotFiniteError: there is nan or inf among the responses looked at. Seen on a CPU only, where looking is free.
    """
    total, looking = None, can_look(taps[0])
    for part in _parts(taps, tokens):
        if looking and not all(x.sum(dtype=torch.float32).isfinite() for x in part):
            raise NotFiniteError
        rows = _gather(part, read, scratch)
        mean = rows.mean(dim=2) if centred else rows.new_zeros(rows.shape[:2])
        rows -= mean[:, :, None]
        part_moments = Moments(float(rows.shape[2]), mean, rows @ rows.mT)
        total = part_moments if total is None else total.merge(part_moments)
    assert total is not None
    return total


def gradients_of_products(
    taps: Responses,
    tokens: Int[Tensor, " tokens"] | None,
    read: Int[Tensor, "windows cells"] | None,
    mean: Float[Tensor, "windows cells"],
    weights: Float[Tensor, "windows cells cells"],
    scratch: Scratch,
) -> list[Tensor]:
    """Return the gradient of sum_ij weights_ij products_ij by the responses of each tap of a sheet.

    d products_ij / d x_ni = x_nj - mean_j: deviations sum to zero over samples, so the mean adds nothing. Weights are
    symmetric. The samples are read again instead of kept, window by window, since the forward pass.
    """
    gradients = [torch.empty_like(x) if tokens is None else torch.zeros_like(x) for x in taps]
    widths = [x.shape[1] for x in taps]
    direct = len(taps) == 1 and tokens is None and taps[0].dtype == torch.float32
    twice, first = 2 * weights, 0
    for part, place in zip(_parts(taps, tokens), _chunks(taps[0] if tokens is None else tokens), strict=True):
        rows = _gather(part, read, scratch)
        rows -= mean[:, :, None]
        if torch.compiler.is_compiling():  # which writes to contiguous tensors only
            cell_gradient = (rows.mT @ twice).transpose(0, 1)
        else:
            cell_gradient = scratch("cell_gradient", (len(place), *mean.shape), mean.device)
            torch.bmm(rows.mT, twice, out=cell_gradient.transpose(0, 1))
        here = slice(first, first + len(place))
        unit_gradient = (
            gradients[0][here] if direct else scratch("unit_gradient", (len(place), sum(widths)), mean.device)
        )
        if read is None:
            unit_gradient.copy_(cell_gradient.flatten(1))
        else:
            unit_gradient.zero_().index_add_(1, read.flatten(), cell_gradient.flatten(1))
        if not direct:
            for gradient, tap_gradient in zip(gradients, unit_gradient.split(widths, dim=1), strict=True):
                if tokens is None:
                    gradient[here] = tap_gradient
                else:
                    gradient.index_copy_(0, place, tap_gradient.to(gradient.dtype))
        first += len(place)
    return gradients


def all_reduce(parts: list[Moments]) -> list[Moments]:
    """Return the moments of the samples of all processes, in two collectives however many parts there are."""
    sums = [(part.n * part.mean).flatten() for part in parts]
    counts = torch.stack([torch.full((), float(part.n), device=sums[0].device) for part in parts])
    packed = torch.cat([counts, *sums])
    torch.distributed.all_reduce(packed)
    counts, *sums = packed.split([len(parts), *(len(s) for s in sums)])
    means = [(s / n).view_as(part.mean) for s, n, part in zip(sums, counts, parts, strict=True)]
    steps = [(part.mean - mean)[:, :, None] for part, mean in zip(parts, means, strict=True)]
    products = [part.products + part.n * step @ step.mT for part, step in zip(parts, steps, strict=True)]
    packed = torch.cat([p.flatten() for p in products])
    torch.distributed.all_reduce(packed)
    products = [p.view_as(q) for p, q in zip(packed.split([p.numel() for p in products]), products, strict=True)]
    return [Moments(*values) for values in zip(counts, means, products, strict=True)]


def can_look(x: Tensor) -> bool:
    """Return whether the values of a tensor can be looked at without waiting for a device or breaking a graph."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which nothing is cast, whatever autocast was asked for."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def _parts(taps: Responses, tokens: Int[Tensor, " tokens"] | None) -> Iterator[list[Tensor]]:
    """Yield the samples to look at, chunk by chunk."""
    if tokens is None:
        yield from (list(part) for part in zip(*(_chunks(x) for x in taps), strict=True))
    else:
        yield from ([x.index_select(0, chunk) for x in taps] for chunk in _chunks(tokens))


def _gather(
    taps: Responses, read: Int[Tensor, "windows cells"] | None, scratch: Scratch
) -> Float[Tensor, "windows cells samples"]:
    """Return a copy, in scratch memory, of the responses of the units of each window."""
    x = taps[0] if len(taps) == 1 else torch.cat(list(taps), dim=1)
    if read is None:
        return scratch("rows", x.shape, x.device).copy_(x).T[None]
    rows = scratch("rows", (len(x), read.numel()), x.device)
    if x.dtype == torch.float32:
        torch.index_select(x, 1, read.flatten(), out=rows)
    else:
        rows.copy_(x.index_select(1, read.flatten()))
    return rows.T.unflatten(0, read.shape)


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(_CHUNK.get(x.device.type, _CHUNK_ELSEWHERE))
