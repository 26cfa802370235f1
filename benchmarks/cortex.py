"""Claim: one sheet for all taps costs no more than a sheet for each tap, and one of 150,000 units is mapped in minutes.

There are three measurements:

1. Loss and gradient of windows that cross taps (one sheet in bands), compared with as many windows on single taps.
2. The time in which a model of 60 taps of 2,500 units gets one sheet, with the pass of the model that finds the taps.
3. Map statistics and organisation of a contrast on such a sheet: raw and with a readout of 2 mm, 99 draws of each null.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.objective import RADIUS, TAPS, WINDOWS, noise, topography
from benchmarks.timing import median, paired
from toposheet import Comparison, Topography, organisation, spatial_loss, topography_statistics
from toposheet.sheet import one_sheet
from toposheet.train.hardware import keep_freed_memory

TOKENS, AT_MOST = 2048, 1.05
LAYERS, WIDTH, TEXTS, DRAWS = 30, 2500, 100, 99
ATTACHED, MAPPED, MEMORY = 2.0, 180.0, 6000.0  # seconds, seconds, MB


def measure(pairs: int = 60) -> list[dict[str, Any]]:
    """Return one row for each measurement."""
    return [*_windows(pairs), _attached(), _mapped()]


def _windows(pairs: int) -> list[dict[str, Any]]:
    """Return the times of loss and gradient: as many windows on one sheet, and on a sheet for each tap."""
    keep_freed_memory()  # as in training
    alone = topography()
    rng, rows = np.random.default_rng(0), []
    for layout in ("bands", "interleaved"):
        together = Topography({"cortex": one_sheet(alone.widths, layout, None, 1.0, rng)})
        activations = noise(alone, TOKENS)

        def backward(topo: Topography, x: dict[str, torch.Tensor] = activations) -> None:
            loss = spatial_loss(x, topo, WINDOWS, RADIUS, generator=torch.Generator().manual_seed(0))
            torch.autograd.grad(loss, list(x.values()))

        pair = paired(lambda: backward(alone), lambda topo=together: backward(topo), pairs=pairs)
        rows.append({"what": layout, "tokens": TOKENS, "windows": TAPS * WINDOWS, "alone": pair.first,
                     "together": pair.second, "ratio": pair.ratio, "at_most": AT_MOST})  # fmt: skip
    return rows


def _attached() -> dict[str, Any]:
    """Return the time in which a model gets one sheet for all of its units. Its weights are not allocated."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_layer=LAYERS, n_embd=WIDTH, n_head=25, n_inner=16, vocab_size=64))
    seconds = median(lambda: Topography.of(model, layout="bands"), runs=3, warm_up=1)
    return {"what": "attach", "units": 2 * LAYERS * WIDTH, "seconds": seconds, "at_most": ATTACHED}


def _mapped() -> dict[str, Any]:
    """Return the time in which the maps of a contrast are computed, and the peak memory of this process."""
    import xarray as xr

    rng = np.random.default_rng(0)
    widths = {f"transformer.h.{i // 2}.{'mlp' if i % 2 else 'attn'}": WIDTH for i in range(2 * LAYERS)}
    topo = Topography({"cortex": one_sheet(widths, "bands", None, 1.0, rng)})
    labels = np.repeat(["a", "b"], TEXTS // 2)
    responses = xr.DataArray(
        rng.normal(size=(TEXTS, 2 * LAYERS * WIDTH)).astype(np.float32),
        dims=("stimulus", "unit"),
        coords={**topo.unit_coordinates(), "condition": ("stimulus", labels)},
    )
    comparison = Comparison(responses, "a", "b")
    start = time.perf_counter()
    topography_statistics(comparison, permutations=DRAWS)
    organisation(comparison, permutations=DRAWS)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"what": "map", "units": 2 * LAYERS * WIDTH, "texts": TEXTS, "draws": DRAWS, "seconds": seconds,
            "at_most": MAPPED, "peak_mb": peak, "memory_at_most": MEMORY}  # fmt: skip
