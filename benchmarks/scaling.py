"""Claim: the cost of the objective grows at most linearly with windows, taps and tokens, and more slowly with units.

The cost is the time of loss and gradient. One quantity varies at a time, and the others keep a middle value. The
exponent is the slope of a straight line through the logarithms of quantity and cost. With drawn windows, a sheet with
more units costs more only because the gradient has more values.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from benchmarks.objective import noise, topography
from benchmarks.timing import median
from toposheet import spatial_loss

WINDOWS = (1, 2, 5, 10, 20, 50)
SIDES = (16, 24, 32, 48, 64, 96, 128)
TAPS = (1, 2, 4, 8, 16, 24)
TOKENS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
LARGEST_EXACT = 48


def milliseconds(windows: int | Literal["all"] = 5, side: int = 28, taps: int = 4, tokens: int = 2048) -> float:
    """Return the time of loss and gradient, in milliseconds."""
    topo = topography(taps, (side, side))
    activations = noise(topo, tokens)

    def run() -> None:
        loss = spatial_loss(activations, topo, windows, generator=torch.Generator().manual_seed(0))
        torch.autograd.grad(loss, list(activations.values()))

    return 1000 * median(run)


def measure() -> list[dict[str, Any]]:
    """Return one row for each quantity."""
    curves = {
        "windows": (WINDOWS, [milliseconds(windows=n) for n in WINDOWS]),
        "taps": (TAPS, [milliseconds(taps=n) for n in TAPS]),
        "tokens": (TOKENS, [milliseconds(tokens=n) for n in TOKENS]),
        "units": ([n * n for n in SIDES], [milliseconds(side=n, taps=1) for n in SIDES]),
        "units, all windows": (
            [n * n for n in SIDES if n <= LARGEST_EXACT],
            [milliseconds("all", side=n, taps=1) for n in SIDES if n <= LARGEST_EXACT],
        ),
    }
    return [
        {
            "varied": name,
            "values": list(values),
            "ms": times,
            "exponent": float(np.polyfit(np.log(values), np.log(times), 1)[0]),
        }
        for name, (values, times) in curves.items()
    ]
