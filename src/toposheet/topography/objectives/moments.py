"""What correlations are made of: counts, means and products of responses, which add up over any split of the tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

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


class NotFiniteError(ValueError):
    """Responses hold nan or inf, or numbers too large for float32."""

    def __init__(self, whose: str = "the responses") -> None:
        super().__init__(f"{whose} hold nan, inf or numbers too large for float32: look at the model and its input")


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


def groups(reads: Sequence[Int[Tensor, "_ _"] | None], n_samples: int, device: torch.device) -> list[list[int]]:
    """Return which sheets to work through side by side, where their windows are alike: few tokens fill no chunk."""
    size = max(1, 2 * _CHUNK.get(device.type, _CHUNK_ELSEWHERE) // max(1, n_samples))
    found: list[list[int]] = []
    for i, read in enumerate(reads):
        last = reads[found[-1][-1]] if found else None
        if read is not None and last is not None and read.shape == last.shape and len(found[-1]) < size:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def moments(
    sheets: Sequence[Responses],
    tokens: Int[Tensor, " tokens"] | None,
    reads: Sequence[Int[Tensor, "windows cells"] | None],
    scratch: Scratch,
    centred: bool = True,
) -> list[Moments]:
    """Return the moments of the responses of each sheet, window by window, in one pass over the samples.

    Args:
        sheets: The responses of a group of sheets.
        tokens: Which samples to look at, each once; none means all.
        reads: Indices of the units of each window, every index one of a unit; none means all units in one window.
        scratch: Memory to work in.
        centred: Whether products are about the means. If not, means are zero and products plain.

    Raises:
        NotFiniteError: there is nan or inf among the responses looked at. Seen on a CPU only, where looking is free.
    """
    total, looking = None, can_look(sheets[0][0])
    for parts in _parts(sheets, tokens):
        if looking and not all(x.sum(dtype=torch.float32).isfinite() for part in parts for x in part):
            raise NotFiniteError
        rows = _gather(parts, reads, scratch)
        mean = rows.mean(dim=2) if centred else rows.new_zeros(rows.shape[:2])
        rows -= mean[:, :, None]
        of_parts = Moments(float(rows.shape[2]), mean, rows @ rows.mT)
        total = of_parts if total is None else total.merge(of_parts)
    assert total is not None
    split = zip(total.mean.chunk(len(sheets)), total.products.chunk(len(sheets)), strict=True)
    return [Moments(total.n, mean, products) for mean, products in split]


def gradients_of_products(
    sheets: Sequence[Responses],
    tokens: Int[Tensor, " tokens"] | None,
    reads: Sequence[Int[Tensor, "windows cells"] | None],
    means: Sequence[Float[Tensor, "windows cells"]],
    weights: Sequence[Float[Tensor, "windows cells cells"]],
    scratch: Scratch,
) -> list[Tensor]:
    """Return the gradient of sum_ij weights_ij products_ij by the responses of a group of sheets, tap after tap.

    d products_ij / d x_ni = x_nj - mean_j: deviations sum to zero over samples, so the mean adds nothing. Weights are
    symmetric. The samples are read again instead of kept, window by window, since the forward pass.
    """
    gradients = [[torch.empty_like(x) if tokens is None else torch.zeros_like(x) for x in taps] for taps in sheets]
    places = _chunks(gradients[0][0]) if tokens is None else _chunks(tokens)
    mean, twice, first = torch.cat(list(means)), 2 * torch.cat(list(weights)), 0
    for parts, place in zip(_parts(sheets, tokens), places, strict=True):
        rows = _gather(parts, reads, scratch)
        rows -= mean[:, :, None]
        if torch.compiler.is_compiling():  # which writes to contiguous tensors only
            of_cells = (rows.mT @ twice).transpose(0, 1)
        else:
            of_cells = scratch("of_cells", (len(place), *mean.shape), mean.device)
            torch.bmm(rows.mT, twice, out=of_cells.transpose(0, 1))
        for taps, read, of_sheet in zip(gradients, reads, of_cells.chunk(len(sheets), dim=1), strict=True):
            direct = len(taps) == 1 and tokens is None and taps[0].dtype == torch.float32
            size = (len(place), sum(gradient.shape[1] for gradient in taps))
            of_units = taps[0][first : first + len(place)] if direct else scratch("of_units", size, mean.device)
            if read is None:
                of_units.copy_(of_sheet.flatten(1))
            else:
                of_units.zero_().index_add_(1, read.flatten(), of_sheet.flatten(1))
            if direct:
                continue
            for gradient, of_tap in zip(taps, of_units.split([g.shape[1] for g in taps], dim=1), strict=True):
                if tokens is None:
                    gradient[first : first + len(place)] = of_tap
                else:
                    gradient.index_copy_(0, place, of_tap.to(gradient.dtype))
        first += len(place)
    return [gradient for taps in gradients for gradient in taps]


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


def _parts(sheets: Sequence[Responses], tokens: Int[Tensor, " tokens"] | None) -> Iterator[list[list[Tensor]]]:
    """Yield the samples to look at, chunk by chunk."""
    if tokens is not None:
        for chunk in _chunks(tokens):
            yield [[x.index_select(0, chunk) for x in taps] for taps in sheets]
        return
    first = 0
    for chunk in _chunks(sheets[0][0]):
        yield [[x[first : first + len(chunk)] for x in taps] for taps in sheets]
        first += len(chunk)


def _gather(
    parts: Sequence[Responses], reads: Sequence[Int[Tensor, "windows cells"] | None], scratch: Scratch
) -> Float[Tensor, "all_windows cells samples"]:
    """Return a copy, in scratch memory, of the responses of the units of the windows of all sheets of a group."""
    taps = [x for part in parts for x in part]
    side_by_side = taps[0] if len(taps) == 1 else torch.cat(taps, dim=1)
    if reads[0] is None:
        return scratch("rows", side_by_side.shape, side_by_side.device).copy_(side_by_side).T[None]
    before = itertools.accumulate((sum(x.shape[1] for x in part) for part in parts[:-1]), initial=0)
    windows = torch.cat([read + n for read, n in zip(reads, before, strict=True) if read is not None])
    rows = scratch("rows", (len(side_by_side), windows.numel()), side_by_side.device)
    if side_by_side.dtype == torch.float32:
        torch.index_select(side_by_side, 1, windows.flatten(), out=rows)
    else:
        rows.copy_(side_by_side.index_select(1, windows.flatten()))
    return rows.T.unflatten(0, windows.shape)


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(_CHUNK.get(x.device.type, _CHUNK_ELSEWHERE))
