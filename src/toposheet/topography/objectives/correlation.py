"""The correlation objective of TopoLM: near units should respond alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.sheet import Neighborhoods, Sheet, distances
from toposheet.sheet.grid import Metric
from toposheet.topography.objectives.covariance import window_products
from toposheet.topography.topography import Topography


def spatial_correlation_loss(
    x: Float[Tensor, "samples units"], coordinates: Int[Tensor, "places 2"], metric: Metric = "chebyshev"
) -> Float[Tensor, ""]:
    """Return the spatial loss of one neighborhood (TopoLM, arXiv:2410.11516; TDANN, doi:10.1016/j.neuron.2024.04.018).

    SL = (1 - corr(r, d)) / 2, where r holds the Pearson correlations of the responses of all pairs of units,
    and d = 1 / (1 + distance) of their places.

    Args:
        x: Responses of the units of the neighborhood to a number of samples (tokens).
        coordinates: Row and column of each unit, in cells.
        metric: `"chebyshev"` (the paper's l-infinity) or `"euclidean"` (the published code's).

    Returns:
        Between 0 (near units respond alike, far units differ) and 1; 0.5 where responses do not depend on
        places. Silent units correlate 0 with all others.

    Raises:
        ValueError: places and responses differ in number, or the metric is unknown.
    """
    if len(coordinates) != x.shape[-1]:
        raise ValueError(f"{len(coordinates)} places for {x.shape[-1]} units: each unit needs one")
    nearness = 1 / (1 + torch.from_numpy(distances(coordinates.cpu().numpy(), metric))).to(x.device)
    everyone = torch.arange(x.shape[-1], device=x.device)[None]
    with torch.autocast(x.device.type, enabled=False):
        return _losses(_correlations(x, everyone), everyone, nearness.float()).squeeze(0)


def spatial_losses(
    activations: Mapping[str, Tensor],
    topo: Topography,
    neighborhoods: int | Literal["all"] = 5,
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    generator: torch.Generator | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Return the spatial loss of each sheet (of each tap, where every tap has its own): the mean over windows.

    Args:
        activations: What `topo.record` recorded: {tap: (batch, time, units)}. All tokens are samples.
        topo: Where the units sit.
        neighborhoods: How many windows to draw, with replacement, or `"all"` for the mean over every window.
        radius: Of the windows, in cells (l-infinity).
        metric: Distance between places, see `spatial_correlation_loss`.
        window: `"open"`, a side of 2 radius - 1 cells, or `"closed"`, 2 radius + 1.
        generator: Source of the randomness of the draw.

    Returns:
        Values between 0 and 1, computed in float32 whatever autocast says.

    Raises:
        ValueError: a tap is missing or has another width than the sheet, or an option is out of range.
    """
    if neighborhoods != "all" and neighborhoods < 1:
        raise ValueError(f"neighborhoods is {neighborhoods!r}: it must be at least 1, or 'all'")
    losses = {}
    for name, sheet in topo.sheets.items():
        x = _samples(activations, sheet)
        units, nearness = _table(sheet, radius, metric, window, x.device)
        with torch.autocast(x.device.type, enabled=False):
            if neighborhoods == "all":
                everyone = torch.arange(x.shape[-1], device=x.device)[None]
                correlations = _correlations(x, everyone)[0][units[:, :, None], units[:, None, :]]
            else:
                device = generator.device if generator is not None else torch.device("cpu")
                drawn = torch.randint(len(units), (neighborhoods,), generator=generator, device=device)
                units = units[drawn.to(x.device)]
                correlations = _correlations(x, units.clamp_min(0))  # a hole, -1, reads some unit and is masked
            losses[name] = _losses(correlations, units, nearness).mean()
    return losses


def spatial_loss(
    activations: Mapping[str, Tensor],
    topo: Topography,
    neighborhoods: int | Literal["all"] = 5,
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """Return the spatial loss of a network: the sum of `spatial_losses`, to be multiplied by alpha."""
    losses = spatial_losses(activations, topo, neighborhoods, radius, metric, window, generator)
    return torch.stack(list(losses.values())).sum()


def _samples(activations: Mapping[str, Tensor], sheet: Sheet) -> Float[Tensor, "samples units"]:
    parts = []
    for tap, places in sheet.places.items():
        if tap not in activations:
            raise ValueError(f"there are no activations of the tap {tap}; there are: {', '.join(activations)}")
        x = activations[tap]
        if x.shape[-1] != len(places):
            raise ValueError(f"the activations of {tap} have {x.shape[-1]} units, its sheet {len(places)}")
        parts.append(x.flatten(0, -2))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


@lru_cache(maxsize=1024)
def _table(
    sheet: Sheet, radius: int, metric: Metric, window: Literal["open", "closed"], device: torch.device
) -> tuple[Tensor, Tensor]:
    table = Neighborhoods.of(sheet, radius, metric, window)
    nearness = torch.from_numpy(table.nearness).to(device, torch.float32)
    return torch.from_numpy(table.units.copy()).to(device), nearness


def _correlations(
    x: Float[Tensor, "samples units"], windows: Int[Tensor, "windows cells"]
) -> Float[Tensor, "windows cells cells"]:
    """Return the Pearson correlations of all pairs of units of each window; silent units correlate 0 with all."""
    products, mean = window_products(x, windows)
    square = products.diagonal(dim1=1, dim2=2)
    # Below the rounding of float32 a spread is no response.
    silent = square <= len(x) * (1e-6 * mean) ** 2 + 1e-30
    scale = torch.where(silent, 0.0, torch.where(silent, 1.0, square).rsqrt())
    return products * scale[:, :, None] * scale[:, None, :]


def _losses(
    correlations: Float[Tensor, "windows cells cells"],
    units: Int[Tensor, "windows cells"],
    nearness: Float[Tensor, "cells cells"],
) -> Float[Tensor, " windows"]:
    """Return (1 - corr(r, d)) / 2 of each window over its pairs of units. Each pair counts twice: the same value."""
    unit_there = (units >= 0).float()
    pairs = unit_there[:, :, None] * unit_there[:, None, :]
    pairs = pairs - torch.diag_embed(unit_there)
    n = pairs.sum(dim=(1, 2), keepdim=True)
    r = pairs * (correlations - (pairs * correlations).sum(dim=(1, 2), keepdim=True) / n)
    d = pairs * (nearness - (pairs * nearness).sum(dim=(1, 2), keepdim=True) / n)
    scale = (r * r).sum(dim=(1, 2)) * (d * d).sum(dim=(1, 2))
    return (1 - (r * d).sum(dim=(1, 2)) * scale.clamp_min(1e-20).rsqrt()) / 2
