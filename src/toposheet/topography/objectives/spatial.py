"""The objectives of topographic training, behind one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.errors import UserError
from toposheet.settings import Metric, check_max_samples
from toposheet.sheet import distances
from toposheet.topography.objectives.evaluation import View, evaluate, moments_of, with_gradient
from toposheet.topography.objectives.known.correlation import OBJECTIVE as CORRELATION
from toposheet.topography.objectives.moments import NotFiniteError, can_look, full_precision
from toposheet.topography.objectives.objective import OnWeights, objective_named
from toposheet.topography.objectives.statistics import (
    SpatialStatistics,
    check_count,
    refuse_without_gradient,
    responses_of,
)
from toposheet.topography.objectives.windows import Windows
from toposheet.topography.taps import Activations
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
        places. Silent units correlate 0 with all others. Computed in float32 whatever autocast says, which
        resolves correlations to about 1e-7: where those of a window differ by less (copies of one unit, or one
        sample with nearly all the variance), the loss tends to 0.5 and its gradient to rounding or nothing.

    Raises:
        UserError: places and responses differ in number, the metric is unknown, or (seen on a CPU) responses are
            not finite.
    """
    if x.ndim != 2 or x.shape[1] < 3:
        raise UserError(f"the responses have shape {tuple(x.shape)}: it must be (samples, units), of 3 units or more")
    if len(coordinates) != x.shape[-1]:
        raise UserError(f"{len(coordinates)} places for {x.shape[-1]} units: each unit needs one")
    nearness = 1 / (1 + torch.from_numpy(distances(coordinates.cpu().numpy(), metric)))
    everyone = torch.arange(x.shape[-1], device=x.device)[None]
    present = torch.ones(everyone.shape, device=x.device)
    view = View.of(Windows(everyone, present, nearness.to(x.device, torch.float32)), x.shape[1])
    with full_precision(x.device):
        with torch.no_grad():
            parts = moments_of([[x]], None, [view], CORRELATION)
            loss, weights = evaluate([view], parts, CORRELATION)
        return with_gradient(loss, [[x]], None, [view], parts, weights).squeeze(0)


def spatial_losses(
    activations: Mapping[str, Tensor],
    topo: Topography,
    neighborhoods: int | Literal["all", "auto"] = 5,
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    generator: torch.Generator | None = None,
    *,
    objective: str = "correlation",
    max_samples: int | None = None,
    reduce: Literal["local", "global"] = "local",
) -> dict[str, Float[Tensor, ""]]:
    """Return the spatial loss of each sheet (of each tap, where every tap has its own).

    Objectives on activations, each the mean over windows:

    - `"correlation"`: TopoLM's, see `spatial_correlation_loss`.
    - `"shuffled_correlation"`: the same with the distances of each window shuffled once and for all: a control of
      equal strength, in which places mean nothing (as windows overlap, no arrangement satisfies them all).
    - `"squared_difference"`: mean (cosine similarity - d)^2 of pairs of units (Poli et al. 2022, arXiv:2211.13152;
      there over all units of a layer and item by item, here over windows and all tokens).

    Objectives on weights, which take `topo.weights(model)` in place of activations; all other options concern
    activations and are left alone:

    - `"topoloss"`: 1 - cosine(W, blur(W)) (TopoLoss, Deb et al. 2025, arXiv:2501.16396).
    - `"all_tnn"`: cosine distance of the weights of neighbours (All-TNN, Lu et al. 2025,
      doi:10.1038/s41562-025-02220-7).

    Inside `torch.compile` the generator must be None (torch takes none there): windows then come from torch's global
    randomness.

    Args:
        activations: What `topo.record` recorded: {tap: (batch, time, units)}. All tokens are samples.
        topo: Where the units sit.
        neighborhoods: How many windows of each sheet to draw, with replacement; `"all"` for the mean over every
            window; `"auto"` for all of them on sheets so small that this costs little more than five.
        radius: Of the windows, in cells (l-infinity).
        metric: Distance between places, see `spatial_correlation_loss`.
        window: `"open"`, a side of 2 radius - 1 cells, or `"closed"`, 2 radius + 1.
        generator: Source of the randomness of the draw.
        objective: Which objective: one of these, or one that was registered (`topography.OBJECTIVES.register`).
        max_samples: Look at no more tokens of this process's batch than these, drawn uniformly without replacement.
            Tokens that are not drawn are not looked at for nan either.
        reduce: Correlate over the tokens of this process (`"local"`, as published) or of all (`"global"`): see
            `SpatialStatistics`, which also takes a batch in micro-batches.

    Returns:
        Values in float32 whatever autocast says; of the correlation objectives between 0 and 1.

    Raises:
        UserError: a tap is missing, has another width than its sheet or other tokens than the rest, is not finite
            (seen on a CPU; elsewhere looking would wait for the device, and the loss is nan) or carries no gradient
            in training; an option is out of range.
    """
    chosen = objective_named(objective)
    if isinstance(chosen, OnWeights):
        if isinstance(activations, Activations):
            raise UserError(f"{objective} is an objective on weights: give it topography.weights(model)")
        weights = responses_of(activations, topo)
        refuse_without_gradient(activations, topo)
        losses = {}
        for (name, sheet), taps in zip(topo.sheets.items(), weights, strict=True):
            losses[name] = chosen.loss(torch.cat(taps, dim=1).float(), sheet)
            if can_look(losses[name]) and not losses[name].isfinite():
                raise NotFiniteError(f"the weights of {', '.join(sheet.places)}")
        return losses
    statistics = SpatialStatistics(
        topo, neighborhoods, radius, metric, window, generator, objective=objective, reduce=reduce
    )
    tokens = None if max_samples is None else _drawn_tokens(activations, topo, max_samples, generator)
    statistics.add(activations, tokens)
    return statistics.losses(activations, tokens)


def spatial_loss(
    activations: Mapping[str, Tensor],
    topo: Topography,
    neighborhoods: int | Literal["all", "auto"] = 5,
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    generator: torch.Generator | None = None,
    *,
    objective: str = "correlation",
    max_samples: int | None = None,
    reduce: Literal["local", "global"] = "local",
) -> Float[Tensor, ""]:
    """Return the spatial loss of a network: the sum of `spatial_losses`, to be multiplied by alpha."""
    losses = spatial_losses(
        activations,
        topo,
        neighborhoods,
        radius,
        metric,
        window,
        generator,
        objective=objective,
        max_samples=max_samples,
        reduce=reduce,
    )
    return torch.stack(list(losses.values())).sum()


def _drawn_tokens(
    activations: Mapping[str, Tensor], topo: Topography, max_samples: int, generator: torch.Generator | None
) -> Int[Tensor, " drawn"] | None:
    """Return which tokens to look at, the same of all taps; None for all, where there are no more."""
    max_samples = check_count("max_samples", max_samples)
    check_max_samples(max_samples)
    x = responses_of(activations, topo)[0][0]
    if len(x) <= max_samples:
        return None
    device = generator.device if generator is not None else torch.device("cpu")
    drawn = torch.randperm(len(x), generator=generator, device=device)[:max_samples]
    return drawn.sort().values.to(x.device, non_blocking=True)
