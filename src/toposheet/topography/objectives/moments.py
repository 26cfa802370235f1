"""Counts, means and products of responses: correlations are made from them, and they add up over parts of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.errors import UserError

# Number of tokens that are processed together: few enough for the cache of a CPU core, many enough for a whole GPU.
# With chunks of tokens, only the memory of the gradient itself grows with the number of tokens.
_CHUNK = {"cpu": 512}
_CHUNK_ELSEWHERE = 8192

# The responses of the units of one sheet: for each tap an array (samples, units) of any precision. A sample is a token.
Responses = Sequence[Float[Tensor, "samples _"]]


class Moments(NamedTuple):
    """The moments of the responses of the units of windows, in float32.

    Args:
        n: Number of samples (tokens).
        mean: Mean response of each unit of each window.
        products: sum_n (x_ni - mean_i)(x_nj - mean_j) for each pair of units i, j of each window.
    """

    n: float | Tensor
    mean: Float[Tensor, "windows cells"]
    products: Float[Tensor, "windows cells cells"]

    def merge(self, other: Moments) -> Moments:
        """Return the moments of two sets of samples together (Chan et al. 1983, doi:10.2307/2683386)."""
        n = self.n + other.n
        step = other.mean - self.mean
        between = step * (self.n * other.n / n)
        products = (self.products + other.products).baddbmm_(between[:, :, None], step[:, None, :])
        return Moments(n, self.mean + step * (other.n / n), products)


class NotFiniteError(UserError):
    """The responses contain nan, infinity, or numbers too large for float32."""

    def __init__(self, source: str = "the responses") -> None:
        super().__init__(f"{source} hold nan, inf or numbers too large for float32: check the model and its input")


class Scratch:
    """Working memory that is used again for each chunk and each sheet.

    New memory would be slower, because the system must provide new pages.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __call__(
        self, name: str, shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return a tensor with arbitrary content.

        Args:
            name: Name of the buffer. A later call with the same name returns the same memory.
            shape: Shape of the tensor.
            device: Device of the tensor.
            dtype: Precision of the tensor.
        """
        size = math.prod(shape)
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = torch.empty(size, dtype=dtype, device=device)
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
        taps: The responses of the units of each tap of the sheet.
        tokens: Indices of the samples to use, each at most once. None: all samples.
        read: The numbers of the units of each window, without holes. None: all units of the sheet are one window.
        scratch: Working memory.
        centred: True: products are those of deviations from the mean. False: products are those of the responses, and
            the returned means are 0.

    Raises:
        NotFiniteError: A response is nan or infinite. This is checked on a CPU only, where the check is cheap.
    """
    total, checking = None, can_read_values(taps[0])
    for part in selected_parts(taps, tokens, _chunk(taps[0])):
        if checking and not all(x.sum(dtype=torch.float32).isfinite() for x in part):
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
    """Return the gradient of sum_ij weights_ij products_ij with respect to the responses of each tap of a sheet.

    d products_ij / d x_ni = x_nj - mean_j. The mean adds no further term, because deviations from it sum to 0 over
    samples. The forward pass does not store the responses of each window; they are gathered here again.

    Args:
        taps: The responses of the units of each tap of the sheet.
        tokens: Indices of the samples that were used. None: all samples.
        read: The numbers of the units of each window. None: all units of the sheet are one window.
        mean: Mean response of each unit of each window.
        weights: Symmetric gradient of the loss with respect to the products.
        scratch: Working memory.
    """
    gradients = [torch.empty_like(x) if tokens is None else torch.zeros_like(x) for x in taps]
    widths = [x.shape[1] for x in taps]
    direct = len(taps) == 1 and tokens is None and taps[0].dtype == torch.float32
    twice, first = 2 * weights, 0
    chunk = _chunk(taps[0])
    places = (taps[0] if tokens is None else tokens).split(chunk)
    for part, place in zip(selected_parts(taps, tokens, chunk), places, strict=True):
        rows = _gather(part, read, scratch)
        rows -= mean[:, :, None]
        if torch.compiler.is_compiling():  # compiled code can write to contiguous tensors only
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
    """Return the moments of the samples of all processes.

    Two collective operations do this, whatever the number of sheets.

    Args:
        parts: The moments of each sheet in this process.
    """
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


def selected_parts(
    taps: Responses, tokens: Int[Tensor, " tokens"] | None, chunk: int
) -> Iterator[list[Float[Tensor, "samples _"]]]:
    """Yield the responses of each tap to the samples to use, in chunks.

    Args:
        taps: The responses of the units of each tap of a sheet.
        tokens: Indices of the samples to use. None: all samples.
        chunk: Number of samples in a chunk. The last chunk may have fewer.
    """
    if tokens is None:
        yield from (list(part) for part in zip(*(x.split(chunk) for x in taps), strict=True))
    else:
        yield from ([x.index_select(0, part) for x in taps] for part in tokens.split(chunk))


def can_read_values(x: Tensor) -> bool:
    """Return whether a check may read the values of a tensor.

    On a GPU, reading must wait for the device. Inside `torch.compile`, reading breaks the graph.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which autocast is off."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def _gather(
    taps: Responses, read: Int[Tensor, "windows cells"] | None, scratch: Scratch
) -> Float[Tensor, "windows cells samples"]:
    """Return a copy of the responses of the units of each window, in working memory."""
    x = taps[0] if len(taps) == 1 else torch.cat(list(taps), dim=1)
    if read is None:
        return scratch("rows", x.shape, x.device).copy_(x).T[None]
    rows = scratch("rows", (len(x), read.numel()), x.device)
    if x.dtype == torch.float32:
        torch.index_select(x, 1, read.flatten(), out=rows)
    else:
        rows.copy_(x.index_select(1, read.flatten()))
    return rows.T.unflatten(0, read.shape)


def _chunk(x: Tensor) -> int:
    return _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE)
