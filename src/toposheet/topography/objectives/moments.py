"""What correlations are made of: counts, means and products of responses, which add up over any split of the tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Tokens worked through at a time: small enough for the cache of a CPU core, large enough to fill a GPU. Nothing but
# the gradient itself then grows with the number of tokens.
_CHUNK = {"cpu": 512}
_CHUNK_ELSEWHERE = 8192


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


class NotFiniteError(ValueError):
    """Responses hold nan or inf."""


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
    x: Float[Tensor, "samples units"],
    some: Int[Tensor, " some"] | None,
    windows: Int[Tensor, "windows cells"] | None,
    scratch: Scratch,
    centred: bool = True,
) -> Moments:
    """Return the moments of responses, window by window, in one pass over the samples.

    Args:
        x: Responses of units to samples (tokens), of any precision.
        some: Which samples to look at, each once; none means all.
        windows: Indices of the units of each window, every index one of a unit; none means all units in one window.
        scratch: Memory to work in.
        centred: Whether products are about the means. If not, means are zero and products plain.

    Raises:
        NotFiniteError: there is nan or inf among the responses. Looked for on a CPU only, where that is free.
    """
    total = None
    for part in _parts(x, some):
        if (
            x.device.type == "cpu"
            and not torch.compiler.is_compiling()
            and not part.sum(dtype=torch.float32).isfinite()
        ):
            raise NotFiniteError
        rows = _gather(part, windows, scratch)
        mean = rows.mean(dim=2) if centred else rows.new_zeros(rows.shape[:2])
        rows -= mean[:, :, None]
        of_part = Moments(float(len(part)), mean, rows @ rows.mT)
        total = of_part if total is None else total.merge(of_part)
    assert total is not None
    return total


def gradient_of_products(
    x: Float[Tensor, "samples units"],
    some: Int[Tensor, " some"] | None,
    windows: Int[Tensor, "windows cells"] | None,
    mean: Float[Tensor, "windows cells"],
    weights: Float[Tensor, "windows cells cells"],
    factor: Float[Tensor, ""],
    scratch: Scratch,
) -> Float[Tensor, "samples units"]:
    """Return the gradient of factor * sum_ij weights_ij products_ij with respect to x; weights must be symmetric.

    d products_ij / d x_ni = x_nj - mean_j: deviations sum to zero over samples, so the mean adds nothing. The
    samples are read again instead of kept, window by window, since the forward pass.
    """
    gradient = torch.empty_like(x) if some is None else torch.zeros_like(x)
    twice, of_parts = weights * (2 * factor), _chunks(gradient) if some is None else _chunks(some)
    for part, of_part in zip(_parts(x, some), of_parts, strict=True):
        rows = _gather(part, windows, scratch)
        rows -= mean[:, :, None]
        of_cells = scratch("of_cells", (len(part), *mean.shape), x.device)
        torch.bmm(rows.mT, twice, out=of_cells.transpose(0, 1))
        of_units = of_part if some is None else torch.empty_like(part)
        if windows is None:
            of_units.copy_(of_cells.flatten(1))
        else:
            of_units.zero_().index_add_(1, windows.flatten(), of_cells.flatten(1).to(x.dtype))
        if some is not None:
            gradient.index_copy_(0, of_part, of_units)
    return gradient


def _parts(x: Float[Tensor, "samples units"], some: Int[Tensor, " some"] | None) -> Iterator[Tensor]:
    """Yield the samples to look at, chunk by chunk."""
    if some is None:
        yield from _chunks(x)
    else:
        yield from (x.index_select(0, chunk) for chunk in _chunks(some))


def _gather(
    x: Float[Tensor, "samples units"], windows: Int[Tensor, "windows cells"] | None, scratch: Scratch
) -> Float[Tensor, "windows cells samples"]:
    """Return a copy, in scratch memory, of the responses of the units of each window."""
    if windows is None:
        return scratch("rows", x.shape, x.device).copy_(x).T[None]
    rows = scratch("rows", (len(x), windows.numel()), x.device)
    if x.dtype == torch.float32:
        torch.index_select(x, 1, windows.flatten(), out=rows)
    else:
        rows.copy_(x.index_select(1, windows.flatten()))
    return rows.T.unflatten(0, windows.shape)


def all_reduce(parts: list[Moments]) -> list[Moments]:
    """Return the moments of the samples of all processes, in two collectives however many parts there are.

    Raises:
        ValueError: there is no group of processes.
    """
    if not torch.distributed.is_initialized():
        raise ValueError(
            "reduce is 'global', but torch.distributed is not initialised: start with torchrun, or use 'local'"
        )
    sums = [(part.n * part.mean).flatten() for part in parts]
    counts = torch.tensor([float(part.n) for part in parts], device=sums[0].device)
    packed = torch.cat([counts, *sums])
    torch.distributed.all_reduce(packed)
    counts, *sums = packed.split([len(parts), *(len(s) for s in sums)])
    means = [(s / n).view_as(part.mean) for s, n, part in zip(sums, counts, parts, strict=True)]
    about = [(part.mean - mean)[:, :, None] for part, mean in zip(parts, means, strict=True)]
    products = [part.products + part.n * step @ step.mT for part, step in zip(parts, about, strict=True)]
    packed = torch.cat([p.flatten() for p in products])
    torch.distributed.all_reduce(packed)
    products = [p.view_as(q) for p, q in zip(packed.split([p.numel() for p in products]), products, strict=True)]
    return [Moments(*values) for values in zip(counts, means, products, strict=True)]


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    """Return the samples in parts that fit a cache."""
    return x.split(_CHUNK.get(x.device.type, _CHUNK_ELSEWHERE))
