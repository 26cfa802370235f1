"""Claim: the objective is several times faster than a textbook loop, at the paper's size (24 taps of 784 units).

The textbook loop computes one window after another with `torch.corrcoef`. Both programs compute the loss and the
gradient for the same windows and the same activations. They run alternately.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import device, paired
from toposheet import Sheet, Topography, spatial_loss
from toposheet.sheet import Neighborhoods, random_places

TAPS, SHAPE, WINDOWS, RADIUS = 24, (28, 28), 5, 5
CASES = {
    "cpu": [(512, torch.float32, 3.0), (2048, torch.float32, 2.5), (8192, torch.float32, 2.0)],
    "cuda": [(8192, torch.bfloat16, None), (49152, torch.bfloat16, 10.0)],
}


def topography(n_taps: int = TAPS, shape: tuple[int, int] = SHAPE) -> Topography:
    """Return a topography in which each tap has a sheet without empty cells."""
    rng = np.random.default_rng(0)
    units = shape[0] * shape[1]
    sheets = {}
    for tap in (f"tap{i}" for i in range(n_taps)):
        sheets[tap] = Sheet(shape, {tap: random_places(units, shape, rng)})
    return Topography(sheets)


def noise(topo: Topography, tokens: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return random activations that require a gradient, by tap."""
    return {
        tap: torch.randn(1, tokens, width, device=device(), dtype=dtype, requires_grad=True)
        for tap, width in topo.widths.items()
    }


def tables(topo: Topography) -> dict[str, tuple[Tensor, Tensor]]:
    """Return, for each sheet, the units of every window and the nearness of their cells, for the textbook loop."""
    networks = {}
    for name, sheet in topo.sheets.items():
        table = Neighborhoods.of(sheet, RADIUS)
        units, nearness = torch.from_numpy(table.units.copy()), torch.from_numpy(table.nearness).float()
        networks[name] = units.to(device()), nearness.to(device())
    return networks


def textbook_loss(
    activations: dict[str, Tensor], windows: dict[str, tuple[Tensor, Tensor]], generator: torch.Generator
) -> Tensor:
    """Return the spatial loss, computed window by window directly from the formula."""
    total = torch.zeros((), device=device())
    for name, (units, nearness) in windows.items():
        drawn = torch.randint(len(units), (WINDOWS,), generator=generator)
        x = activations[name].flatten(0, -2)
        i, j = torch.triu_indices(len(nearness), len(nearness), 1)
        losses = []
        for window in units[drawn.to(device())]:
            r = torch.corrcoef(x[:, window].float().T)[i, j]
            losses.append((1 - torch.corrcoef(torch.stack([r, nearness[i, j]]))[0, 1]) / 2)
        total = total + torch.stack(losses).mean()
    return total


def measure() -> list[dict[str, Any]]:
    """Return one row for each number of tokens."""
    topo, rows = topography(), []
    windows = tables(topo)
    for tokens, dtype, bar in CASES[device().type]:
        activations = noise(topo, tokens, dtype)
        leaves = list(activations.values())

        def ours(activations: dict[str, Tensor] = activations, leaves: list[Tensor] = leaves) -> Tensor:
            generator = torch.Generator().manual_seed(0)
            loss = spatial_loss(activations, topo, WINDOWS, RADIUS, generator=generator)
            torch.autograd.grad(loss, leaves)
            return loss.detach()

        def textbook(activations: dict[str, Tensor] = activations, leaves: list[Tensor] = leaves) -> Tensor:
            loss = textbook_loss(activations, windows, torch.Generator().manual_seed(0))
            torch.autograd.grad(loss, leaves)
            return loss.detach()

        assert abs(ours() - textbook()).item() < 1e-3, "the two programs compute different losses"
        pair = paired(ours, textbook, pairs=9)
        rows.append({
            "tokens": tokens, "precision": str(dtype).removeprefix("torch."),
            "ours_ms": 1000 * pair.first, "textbook_ms": 1000 * pair.second, "faster": pair.ratio, "at_least": bar,
        })  # fmt: skip
    return rows
