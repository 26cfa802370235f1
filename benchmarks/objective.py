"""Claim: the objective (loss and gradient) against the textbook loop, at the paper's size: 24 taps of 784 units.

The textbook loop goes through the windows one after another with `torch.corrcoef`. Both compute the same windows of
the same activations, in turn; the figure is the median of the ratios pair by pair.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from toposheet import Sheet, Topography, spatial_loss
from toposheet.sheet import Neighborhoods, random_places

TAPS, SHAPE, WINDOWS, RADIUS = 24, (28, 28), 5, 5
TOKENS, PAIRS, WARM_UP = (512, 2048, 8192), 9, 2


def topography(n_taps: int = TAPS, shape: tuple[int, int] = SHAPE) -> Topography:
    rng = np.random.default_rng(0)
    names = [f"tap{i}" for i in range(n_taps)]
    units = shape[0] * shape[1]
    return Topography({name: Sheet(shape, {name: random_places(units, shape, rng)}) for name in names})


def textbook_loss(activations: dict[str, Tensor], topo: Topography, generator: torch.Generator) -> Tensor:
    """The formula, window by window, as one would write it down."""
    total = torch.zeros(())
    for name, sheet in topo.sheets.items():
        table = Neighborhoods.of(sheet, RADIUS)
        drawn = torch.randint(len(table.units), (WINDOWS,), generator=generator)
        x, nearness = activations[name].flatten(0, -2), torch.from_numpy(table.nearness).float()
        i, j = torch.triu_indices(len(nearness), len(nearness), 1)
        losses = []
        for window in torch.from_numpy(table.units.copy())[drawn]:
            r = torch.corrcoef(x[:, window].T)[i, j]
            losses.append((1 - torch.corrcoef(torch.stack([r, nearness[i, j]]))[0, 1]) / 2)
        total = total + torch.stack(losses).mean()
    return total


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], pairs: int = PAIRS
) -> tuple[float, float, list[float]]:
    """Return the median seconds of two functions run in turn, and the quartiles of the ratios theirs / ours."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(pairs + WARM_UP):
        for function, kept in zip((ours, theirs), seconds, strict=True):
            start = time.perf_counter()
            function()
            if run >= WARM_UP:
                kept.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    return statistics.median(seconds[0]), statistics.median(seconds[1]), statistics.quantiles(ratios, n=4)


def main() -> None:
    topo = topography()
    print(f"objective, loss + gradient, {TAPS} taps x 784 units, fp32, {torch.get_num_threads()} threads")
    for tokens in TOKENS:
        activations = {tap: torch.randn(1, tokens, 784, requires_grad=True) for tap in topo.taps}

        def step(loss: Callable[[torch.Generator], Tensor], activations: dict[str, Tensor] = activations) -> float:
            value = loss(torch.Generator().manual_seed(0))
            torch.autograd.grad(value, list(activations.values()))
            return value.item()

        def ours(activations: dict[str, Tensor] = activations) -> float:
            return step(lambda g: spatial_loss(activations, topo, WINDOWS, RADIUS, generator=g))

        def theirs(activations: dict[str, Tensor] = activations) -> float:
            return step(lambda g: textbook_loss(activations, topo, g))

        assert abs(ours() - theirs()) < 1e-4, "the two do not compute the same loss"
        a, b, (low, middle, high) = paired(ours, theirs)
        print(f"  {tokens:6} tokens: ours {1000 * a:8.1f} ms, textbook {1000 * b:8.1f} ms, "
              f"{middle:.2f}x faster (quartiles {low:.2f} to {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
