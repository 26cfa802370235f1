"""Moments and gradients of all units of a sheet, for bfloat16 responses on a GPU.

A GPU multiplies large bfloat16 matrices so fast that the products of all pairs of units take less time than collecting
the units of a few windows. A product of two bfloat16 numbers is exact here, and sums are in float32. Three things keep
the precision:

- A shift near the mean is subtracted from each unit. A large mean would otherwise leave no digits for the variance.
- A column of ones beside the deviations gives their exact sums, so the shift has no effect on the result.
- The gradient has the precision of bfloat16, which is the precision of the responses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.topography.objectives.moments import Moments, Responses, Scratch, selected_parts

_ELEMENTS = 2**26  # the most deviations in memory at once: 134 MB
_SHIFT_SAMPLES = 256


def can_compute(taps: Responses) -> bool:
    """Return whether this module can compute the moments and gradients of these responses."""
    on_gpu = torch.version.cuda is not None and all(x.is_cuda and x.dtype == torch.bfloat16 for x in taps)
    return on_gpu and not torch.compiler.is_compiling()


def moments_of_sheet(
    taps: Responses, tokens: Int[Tensor, " tokens"] | None, scratch: Scratch, centred: bool = True
) -> Moments:
    """Return the moments of all units of a sheet, as one window. The arguments are those of `moments.moments`."""
    units = sum(x.shape[1] for x in taps)
    if centred:
        step = max(1, (len(taps[0]) if tokens is None else len(tokens)) // _SHIFT_SAMPLES)
        some = slice(None, None, step) if tokens is None else tokens[::step]  # tokens that are left out do not count
        shift = torch.cat([x[some].mean(dim=0) for x in taps])
    else:
        shift = taps[0].new_zeros(units)
    n, sums = 0, None
    for part in selected_parts(taps, tokens, _chunk(units)):
        x = _deviations(part, shift, scratch)
        products = _products(x)
        n, sums = n + len(x), products if sums is None else sums + products
    assert sums is not None
    products, totals = sums[:units, :units], sums[units, :units]
    if not centred:
        return Moments(float(n), torch.zeros_like(totals)[None], products.contiguous()[None])
    return Moments(float(n), (shift + totals / n)[None], torch.addr(products, totals, totals, alpha=-1 / n)[None])


def gradients_of_products_of_sheet(
    taps: Responses,
    tokens: Int[Tensor, " tokens"] | None,
    mean: Float[Tensor, "1 units"],
    twice: Float[Tensor, "1 units units"],
    scratch: Scratch,
) -> list[Tensor]:
    """Return the gradient of a loss, as `gradients_of_products`, with the same arguments.

    The gradient is deviations @ twice. The last row of the second matrix belongs to the column of ones. It
    subtracts the part of the mean that the shift does not contain.
    """
    gradients = [torch.empty_like(x) if tokens is None else torch.zeros_like(x) for x in taps]
    units, shift = mean.shape[1], mean[0].bfloat16()
    table = shift.new_zeros(_columns(units), units)
    table[:units] = twice[0]
    table[units] = (shift - mean[0]) @ table[:units].float()
    tables = table.split([x.shape[1] for x in taps], dim=1)
    chunk, first = _chunk(units), 0
    for part in selected_parts(taps, tokens, chunk):
        x = _deviations(part, shift, scratch)
        here = slice(first, first + len(x))
        for gradient, tap_table in zip(gradients, tables, strict=True):
            if tokens is None:
                torch.mm(x, tap_table, out=gradient[here])
            else:
                gradient.index_copy_(0, tokens[here], x @ tap_table)
        first += len(x)
    return gradients


def _deviations(
    taps: Sequence[Tensor], shift: Float[Tensor, " units"], scratch: Scratch
) -> Float[Tensor, "samples columns"]:
    """Return the responses minus the shift, beside a column of ones and columns of zeros, in working memory."""
    units = len(shift)
    x = scratch("deviations", (len(taps[0]), _columns(units)), shift.device, torch.bfloat16)
    widths = [tap.shape[1] for tap in taps]
    for tap, tap_shift, place in zip(taps, shift.split(widths), x[:, :units].split(widths, dim=1), strict=True):
        torch.sub(tap, tap_shift, out=place)
    x[:, units:] = 0
    x[:, units] = 1
    return x


def _products(x: Float[Tensor, "samples columns"]) -> Float[Tensor, "columns columns"]:
    """Return x' x, with sums in float32."""
    if x.is_cuda:
        return torch.mm(x.T, x, out_dtype=torch.float32)
    return x.float().T @ x.float()


def _columns(units: int) -> int:
    """Return the number of columns: the units, the column of ones, and zeros up to a multiple of 8, as GPUs need it."""
    return units // 8 * 8 + 8


def _chunk(units: int) -> int:
    """Return the number of samples that are processed together."""
    return max(1, _ELEMENTS // _columns(units))
