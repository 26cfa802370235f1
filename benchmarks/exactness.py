"""Claim: on small sheets, all windows cost little more than five drawn windows, and remove the noise of the drawing.

Half of the variance of the responses is smooth over the sheet, and half is noise. The gradient noise is the mean
squared distance between the gradient with five drawn windows and the gradient with all windows, divided by the squared
norm of the gradient with all windows.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.objective import topography
from benchmarks.timing import device, paired
from toposheet import Topography, spatial_loss
from toposheet.stats import gaussian_readout

SIDES, TOKENS, DRAWS = (10, 12, 14, 16, 20, 24, 28), 2048, 40


def half_smooth(topo: Topography) -> Tensor:
    """Return responses of a tap. Half of their variance is smooth over the sheet, and half is noise."""
    ((tap, sheet),) = topo.sheets.items()
    rng = np.random.default_rng(0)
    smooth = gaussian_readout(rng.normal(size=(TOKENS, *sheet.shape)), 3.0)
    y, x = sheet.places[tap].T
    smooth = smooth[:, y, x] / smooth.std()
    values = smooth + rng.normal(size=smooth.shape)
    return torch.from_numpy(values).float().to(device()).requires_grad_()


def measure() -> list[dict[str, Any]]:
    """Return one row for each sheet size."""
    rows = []
    for side in SIDES:
        topo = topography(1, (side, side))
        x = half_smooth(topo)

        def gradient(windows: int | Literal["all"], seed: int = 0, topo: Topography = topo, x: Tensor = x) -> Tensor:
            generator = torch.Generator().manual_seed(seed)
            return torch.autograd.grad(spatial_loss({topo.taps[0]: x[None]}, topo, windows, generator=generator), x)[0]

        pair = paired(lambda gradient=gradient: gradient(5), lambda gradient=gradient: gradient("all"), pairs=9)
        exact = gradient("all")
        distances = [(gradient(5, seed) - exact).square().sum() / exact.square().sum() for seed in range(DRAWS)]
        rows.append({
            "units": side * side, "windows": (side - 8) ** 2, "five_ms": 1000 * pair.first,
            "all_ms": 1000 * pair.second, "ratio": pair.ratio, "noise": torch.stack(distances).mean().item(),
        })  # fmt: skip
    return rows
