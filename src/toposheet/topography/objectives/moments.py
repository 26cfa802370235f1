"""Counts, means and products of responses: correlations are made from them, and they add up over parts of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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

# Number of tokens at a time: of which the responses of several taps are put side by side, and for which the gradient of
# windows is added up unit by unit. More would not fit into the cache of a CPU core.
_SIDE_BY_SIDE = {"cpu": 64}
_ADDED_UP = {"cpu": 16}

# The most responses of the units of windows in memory at once, in numbers: 0.3 GB on a CPU, 2 GB on a GPU. More windows
# are computed in several parts.
_RESPONSES = {"cpu": 2**26}
_RESPONSES_ELSEWHERE = 2**29

# Matrices with at least this number of rows are multiplied with their transpose in halves. With fewer rows, this saves
# no time.
_HALVES_FROM = 192

# The responses of the units of one sheet: for each tap an array (samples, units) of any precision. A sample is a token.
Responses = Sequence[Float[Tensor, "samples _"]]


class Moments(NamedTuple):
    """The moments of the responses of the units of windows, in float32.

    Args:
        n: Number of samples (tokens).
        mean: Mean response of each unit of each window.
        products: sum_n (x_ni - mean_i)(x_nj - mean_j) for each pair of units i, j of each window.
        deviations: x_ni - mean_i, if the gradient will need them and all samples are one chunk. None: the gradient
            gathers the responses again.
    """

    n: float | Tensor
    mean: Float[Tensor, "windows cells"]
    products: Float[Tensor, "windows cells cells"]
    deviations: Float[Tensor, "windows cells used"] | None = None

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
    sheets: Sequence[Responses],
    tokens: Int[Tensor, " tokens"] | None,
    read: Int[Tensor, "windows cells"] | None,
    scratch: Scratch,
    centred: bool = True,
) -> Moments:
    """Return the moments of the responses of sheets, window by window, in one pass over the samples.

    Args:
        sheets: The responses of the units of each tap of each sheet. Several sheets have equally many units.
        tokens: Indices of the samples to use, each at most once. None: all samples.
        read: The numbers of the units of each window of one sheet, without holes. None: each sheet is one window with
            all of its units.
        scratch: Working memory.
        centred: True: products are those of deviations from the mean. False: products are those of the responses, and
            the returned means are 0.

    Raises:
        NotFiniteError: A response is nan or infinite. This is checked on a CPU only, where the check is cheap.
    """
    first = sheets[0][0]
    if read is not None and len(parts := _few_windows(read, first)) > 1:
        each = [moments(sheets, tokens, some, scratch, centred) for some in parts]
        return Moments(each[0].n, torch.cat([m.mean for m in each]), torch.cat([m.products for m in each]))
    total, checking, chunk = None, can_read_values(first), _chunk(first)
    keep = first.requires_grad and (len(first) if tokens is None else len(tokens)) <= chunk
    scratch = Scratch() if keep else scratch  # what is kept must not be overwritten
    for part in _parts(sheets, tokens, chunk):
        rows = _gather(part, read, scratch, checking)
        mean = rows.mean(dim=2)
        if checking and read is None and not math.isfinite(mean.sum()):
            raise NotFiniteError
        mean = mean if centred else torch.zeros_like(mean)
        rows -= mean[:, :, None]
        part_moments = Moments(float(rows.shape[2]), mean, _with_transpose(rows), rows if keep else None)
        total = part_moments if total is None else total.merge(part_moments)
    assert total is not None
    return total


def gradients_of_products(
    sheets: Sequence[Responses],
    tokens: Int[Tensor, " tokens"] | None,
    read: Int[Tensor, "windows cells"] | None,
    mean: Float[Tensor, "windows cells"],
    deviations: Float[Tensor, "windows cells used"] | None,
    twice: Float[Tensor, "windows cells cells"],
    scratch: Scratch,
) -> list[Tensor]:
    """Return the gradient of a loss with respect to responses, from its gradient with respect to their products.

    d products_ij / d x_ni = x_nj - mean_j. The mean adds no further term, because deviations from it sum to 0 over
    samples.

    Args:
        sheets: The responses of the units of each tap of each sheet, see `moments`.
        tokens: Indices of the samples that were used. None: all samples.
        read: The numbers of the units of each window of one sheet. None: each sheet is one window with all of its
            units.
        mean: Mean response of each unit of each window.
        deviations: The deviations from the mean, if `moments` kept them. None: they are gathered again.
        twice: Twice the gradient of the loss with respect to the products, which is symmetric.
        scratch: Working memory.
    """
    taps, widths = [x for taps in sheets for x in taps], [x.shape[1] for x in sheets[0]]
    if read is not None and len(parts := _few_windows(read, taps[0])) > 1:
        total = None
        for some, *of_some in zip(parts, *(x.split([len(part) for part in parts]) for x in (mean, twice)), strict=True):
            gradients = gradients_of_products(sheets, tokens, some, of_some[0], None, of_some[1], scratch)
            total = gradients if total is None else [a.add_(b) for a, b in zip(total, gradients, strict=True)]
        assert total is not None
        return total
    shape, device = (len(sheets), len(taps[0]), sum(widths)), mean.device
    direct = tokens is None and all(x.dtype == torch.float32 for x in taps)
    whole = torch.empty(shape, device=device) if direct else None
    gradients = [] if direct else [torch.empty_like(x) if tokens is None else torch.zeros_like(x) for x in taps]
    first, chunk = 0, _chunk(taps[0])
    places = (taps[0] if tokens is None else tokens).split(chunk)
    if deviations is None:
        again = (_gather(part, read, scratch).sub_(mean[:, :, None]) for part in _parts(sheets, tokens, chunk))
    else:
        again = [deviations]
    for rows, place in zip(again, places, strict=True):
        here = slice(first, first := first + len(place))
        if whole is not None:
            unit_gradients = whole[:, here]
        else:
            unit_gradients = scratch("unit_gradients", (shape[0], len(place), shape[2]), device)
        if torch.compiler.is_compiling():  # compiled code can write to contiguous tensors only
            cell_gradients = rows.mT @ twice
            if read is None:
                unit_gradients.copy_(cell_gradients)
        elif read is None:
            cell_gradients = torch.bmm(rows.mT, twice, out=unit_gradients)
        else:
            cell_gradients = scratch("cell_gradient", (len(place), *mean.shape), device).transpose(0, 1)
            torch.bmm(rows.mT, twice, out=cell_gradients)
        if read is not None:
            size = _piece(_ADDED_UP, len(widths), len(place), device)
            by_sample = cell_gradients.transpose(0, 1).flatten(1).split(size)
            for some, of_cells in zip(unit_gradients[0].split(size), by_sample, strict=True):
                some.zero_().index_add_(1, read.flatten(), of_cells)
        if whole is None:
            for gradient, of_tap in zip(gradients, _of_taps(unit_gradients, widths), strict=True):
                if tokens is None:
                    gradient[here] = of_tap
                else:
                    gradient.index_copy_(0, place, of_tap.to(gradient.dtype))
    return gradients if whole is None else _of_taps(whole, widths)


def all_reduce(parts: list[Moments]) -> list[Moments]:
    """Return the moments of the samples of all processes.

    Two collective operations do this, however many moments there are.

    Args:
        parts: The moments in this process, of each sheet or of sheets that are computed together.
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


def _parts(
    sheets: Sequence[Responses], tokens: Int[Tensor, " tokens"] | None, chunk: int
) -> Iterator[list[list[Float[Tensor, "samples _"]]]]:
    """Yield the responses of each tap of each sheet to the samples to use, in chunks; see `selected_parts`."""
    yield from (list(part) for part in zip(*(selected_parts(taps, tokens, chunk) for taps in sheets), strict=True))


def _gather(
    sheets: Sequence[Responses], read: Int[Tensor, "windows cells"] | None, scratch: Scratch, checking: bool = False
) -> Float[Tensor, "windows cells samples"]:
    """Return a copy of the responses of the units of each window, in working memory.

    Args:
        sheets: The responses of the taps of each sheet.
        read: The numbers of the units of each window of one sheet. None: each sheet is one window.
        scratch: Working memory.
        checking: Whether responses are checked while they are in the cache, if windows are read.

    Raises:
        NotFiniteError: A response is nan or infinite.
    """
    samples, units, device = len(sheets[0][0]), sum(x.shape[1] for x in sheets[0]), sheets[0][0].device
    if read is None:
        rows = scratch("rows", (len(sheets), samples, units), device)
        for taps, of_sheet in zip(sheets, rows, strict=True):
            torch.cat(list(taps), dim=1, out=of_sheet)
        return rows.mT
    (taps,) = sheets
    rows = scratch("rows", (samples, read.numel()), device)
    size = _piece(_SIDE_BY_SIDE, len(taps), samples, device)
    for part, of_part in zip(selected_parts(taps, None, size), rows.split(size), strict=True):
        x = part[0]
        if len(part) > 1:
            x = torch.cat(part, dim=1, out=scratch("units", (len(x), units), device))
        if checking and not math.isfinite(x.sum(dtype=torch.float32)):
            raise NotFiniteError
        if x.dtype == torch.float32:
            torch.index_select(x, 1, read.flatten(), out=of_part)
        else:
            of_part.copy_(x.index_select(1, read.flatten()))
    return rows.T.unflatten(0, read.shape)


def _with_transpose(rows: Float[Tensor, "windows cells samples"]) -> Float[Tensor, "windows cells cells"]:
    """Return the product of each matrix with its transpose.

    The product is symmetric, so a quarter of it is copied instead of computed. This is done on a CPU, where multiplying
    takes most of the time of an objective.
    """
    cells = rows.shape[1]
    if rows.device.type != "cpu" or cells < _HALVES_FROM:
        return rows @ rows.mT
    half, products = cells // 2, rows.new_empty(rows.shape[0], cells, cells)
    first, second = rows[:, :half], rows[:, half:]
    products[:, :half] = first @ rows.mT
    products[:, half:, half:] = second @ second.mT
    products[:, half:, :half] = products[:, :half, half:].mT
    return products


def _of_taps(x: Float[Tensor, "sheets samples units"], widths: Sequence[int]) -> list[Tensor]:
    """Return the columns of each tap of each sheet.

    Args:
        x: Values of all units of each sheet.
        widths: Number of units of each tap of a sheet.
    """
    return [of_tap for sheet in x for of_tap in sheet.split(list(widths), dim=1)]


def _chunk(x: Tensor) -> int:
    return _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE)


def _few_windows(read: Int[Tensor, "windows cells"], x: Tensor) -> tuple[Int[Tensor, "_ cells"], ...]:
    """Return windows in parts whose responses to a chunk of tokens fit in memory."""
    most = _RESPONSES.get(x.device.type, _RESPONSES_ELSEWHERE)
    return read.split(max(1, most // (read.shape[1] * min(len(x), _chunk(x)))))


def _piece(sizes: Mapping[str, int], n_taps: int, samples: int, device: torch.device) -> int:
    """Return the number of samples at a time: all of them, except on some devices if there are several taps."""
    return sizes.get(device.type, samples) if n_taps > 1 else samples
