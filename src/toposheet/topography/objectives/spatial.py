"""The spatial loss: the objectives of topographic training, behind one function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.errors import UserError, check_type
from toposheet.settings import Metric, check_max_samples
from toposheet.sheet import distances
from toposheet.topography.objectives.evaluation import View, evaluate, moments_of, with_gradient
from toposheet.topography.objectives.known.correlation import OBJECTIVE as CORRELATION
from toposheet.topography.objectives.moments import NotFiniteError, can_read_values, full_precision
from toposheet.topography.objectives.objective import OnWeights, objective_named
from toposheet.topography.objectives.statistics import (
    SpatialStatistics,
    checked_count,
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

    SL = (1 - corr(r, d)) / 2. For each pair of units, r is the Pearson correlation of their responses, and
    d = 1 / (1 + distance) is the nearness of their places. corr is the Pearson correlation over pairs.

    The computation runs in float32, also under autocast. In float32 a correlation has an error of about 1e-7. If the
    correlations of all pairs differ by less than this error, the loss is near 0.5 and its gradient is rounding noise or
    0. Examples: all units respond identically, or one sample has nearly all of the variance.

    Args:
        x: Responses of the units to a number of samples (tokens).
        coordinates: Row and column of each unit, in cells.
        metric: Distance between two places. `"chebyshev"`: the larger of the difference in rows and the difference in
            columns (the paper's l-infinity). `"euclidean"`: the straight-line distance (the published code).

    Returns:
        A number between 0 and 1. Near 0: near units respond alike, and distant units respond differently. 0.5: the
        correlation of two units does not depend on their distance. Near 1: distant units respond more alike than near
        units. A silent unit (a unit without variance) has the correlation 0 with all other units.

    Raises:
        UserError: There are not as many places as units, there are fewer than 3 units, the metric is unknown, or a
            response is not finite. Whether responses are finite is checked on a CPU only.
    """
    check_type("x", x, Tensor, "a tensor of responses (samples, units)")
    check_type("coordinates", coordinates, Tensor, "a tensor of places (units, 2)")
    if x.ndim != 2 or x.shape[1] < 3:
        raise UserError(
            f"the responses have the shape {tuple(x.shape)}: it must be (samples, units), with 3 units or more"
        )
    if len(coordinates) != x.shape[-1]:
        raise UserError(f"there are {len(coordinates)} places for {x.shape[-1]} units: give one place for each unit")
    nearness = 1 / (1 + torch.from_numpy(distances(coordinates.cpu().numpy(), metric)))
    everyone = torch.arange(x.shape[-1], device=x.device)[None]
    present = torch.ones(everyone.shape, device=x.device)
    view = View.of(Windows(everyone, present, nearness.to(x.device, torch.float32)[None]), [x])
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
    skip_first: bool = False,
    reduce: Literal["local", "global"] = "local",
) -> dict[str, Float[Tensor, ""]]:
    """Return the spatial loss of each sheet: {sheet: loss}.

    `spatial_loss` is the sum of these losses, each times the number of taps of its sheet. In TopoLM every tap has one
    sheet. For the meaning of all options, see `spatial_loss`, which has the same arguments.

    Args:
        activations: {tap: (batch, time, units)} from `topo.record` or `subject.record`; for an objective on weights,
            `topo.weights(model)`.
        topo: The topography: the sheets, and the place of each unit.
        neighborhoods: Which windows of each sheet count: a number of random windows for each of its taps, `"all"` or
            `"auto"`.
        radius: Size of the windows, in cells.
        metric: Distance between two places: `"chebyshev"` or `"euclidean"`.
        window: Whether cells at exactly the distance `radius` belong to a window: `"open"` (no) or `"closed"` (yes).
        generator: Random generator that draws windows and tokens. It must be None inside `torch.compile`.
        objective: Name of the objective.
        max_samples: Largest number of tokens to use; None: all tokens.
        skip_first: Whether the first token of each text is left out.
        reduce: Over which tokens correlations are computed if several processes train together: `"local"`, the tokens
            of this process, or `"global"`, the tokens of all processes.

    Returns:
        The loss of each sheet, in float32, also under autocast. Losses of the correlation objectives lie between 0 and
        1.

    Raises:
        UserError: See `spatial_loss`.
    """
    chosen = objective_named(objective)
    if isinstance(chosen, OnWeights):
        if isinstance(activations, Activations):
            raise UserError(
                f"{objective} is an objective on weights: give it topography.weights(model), not activations"
            )
        _refuse_other_inputs(activations, topo, objective)
        weights = responses_of(activations, topo)
        refuse_without_gradient(activations, topo)
        losses = {}
        for (name, sheet), taps in zip(topo.sheets.items(), weights, strict=True):
            if sheet.shared_cells and sheet.n_occupied < sheet.n_units:
                raise UserError(
                    f"{objective} compares the weights of neighbouring cells, but units of the sheet {name} share "
                    "cells: use an objective on responses, such as 'correlation'"
                )
            losses[name] = chosen.loss(torch.cat(taps, dim=1).float(), sheet)
            if can_read_values(losses[name]) and not losses[name].isfinite():
                raise NotFiniteError(f"the weights of {', '.join(sheet.places)}")
        return losses
    statistics = SpatialStatistics(
        topo, neighborhoods, radius, metric, window, generator, objective=objective, reduce=reduce
    )
    tokens = _used_tokens(activations, topo, max_samples, skip_first, generator)
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
    skip_first: bool = False,
    reduce: Literal["local", "global"] = "local",
) -> Float[Tensor, ""]:
    """Return the spatial loss of a network: the sum of the spatial losses of its taps (TopoLM, arXiv:2410.11516).

    Training minimises task loss + alpha * spatial loss. The loss of a sheet is the mean over windows (neighborhoods) of
    the sheet. In TopoLM every tap has one sheet. The loss of a sheet with several taps counts once for each of them, so
    that alpha means the same with every layout. `spatial_losses` returns the loss of each sheet.

    Objectives on activations compare the units of a window:

    - `"correlation"`: the loss of TopoLM, see `spatial_correlation_loss`. It is small if the correlation of two units
      follows their nearness d = 1 / (1 + distance).
    - `"shuffled_correlation"`: a control for `"correlation"`. The distances are shuffled among the pairs of cells of a
      window. The shuffling is drawn once and never changes. The pressure on the model is as strong as with
      `"correlation"`, but places have no meaning. Windows overlap, so no arrangement of units can make it small.
    - `"squared_difference"`: mean (cosine similarity - d)^2 over pairs of units (Poli et al. 2022, arXiv:2211.13152).
      The original compares all units of a layer, separately for each item. Here the units of a window are compared,
      over all tokens together.

    Objectives on weights compare the input weights of the units of a sheet. They take `topo.weights(model)` instead of
    activations. They ignore all other options:

    - `"topoloss"`: 1 - cosine(W, blur(W)) (TopoLoss, Deb et al. 2025, arXiv:2501.16396).
    - `"all_tnn"`: the mean cosine distance between the weights of adjacent units (All-TNN, Lu et al. 2025,
      doi:10.1038/s41562-025-02220-7).

    Args:
        activations: What `topo.record` or `subject.record` recorded: {tap: (batch, time, units)}. Each token is one
            sample.
        topo: The topography: the sheets, and the place of each unit.
        neighborhoods: Which windows of each sheet count.
            - A number: this number of random windows for each tap of the sheet, drawn again in each call, with
              replacement. Few windows cost little, but then the loss is a noisy estimate of the mean over all windows.
              The paper draws 5 windows.
            - `"all"`: every window of the sheet. The loss then has no noise from drawing. Choose it to measure a model,
              or if the cost does not matter.
            - `"auto"`: every window if the sheet has at most 16 windows (16 cost little more than 5), otherwise 5
              random windows for each tap.
        radius: Distance from the centre of a window to its edge, in cells. A larger radius compares units over larger
            distances and costs more. The paper uses 5.
        metric: Distance between two places, from which nearness is computed. Windows are squares with either metric.
            - `"chebyshev"`: the larger of the difference in rows and the difference in columns. This is the l-infinity
              distance of the paper.
            - `"euclidean"`: the straight-line distance. The published code uses it. Choose it to reproduce that code.
        window: Which cells belong to a window. Here the distance is always the l-infinity distance.
            - `"open"`: cells at a distance less than `radius` from the centre, a square of 2 radius - 1 cells a side.
              The published code does this.
            - `"closed"`: cells at a distance of at most `radius`, a square of 2 radius + 1 cells a side. This is the
              literal reading of the paper.
        generator: Random generator that draws windows and tokens. None: the global generator of torch. It must be None
            inside `torch.compile`, which cannot take a generator.
        objective: Name of the objective: one of the names above, or a name that was added with
            `ts.register("objective", ...)`.
        max_samples: Largest number of tokens to use. If there are more tokens, this number is drawn at random, without
            replacement. The other tokens are ignored, and are not checked for nan. A smaller number is faster, but
            correlations over fewer tokens are noisier. None: all tokens, as in the paper.
        skip_first: Whether the first token of each text is left out. In pretrained models it often has activations that
            are much larger than all others (an attention sink), and they would decide every correlation.
        reduce: Over which tokens correlations are computed if several processes train together.
            - `"local"`: the tokens of this process, as in the published code. If more processes share a batch, each has
              fewer tokens, and correlations get noisier.
            - `"global"`: the tokens of all processes. The loss is then the loss of the whole batch, whatever the number
              of processes. It needs a process group (`torchrun`), and the processes must communicate in each call.

    Returns:
        A scalar in float32, also under autocast. For the correlation objectives it lies between 0 and the number of
        taps. Half the number of taps means that the correlation of two units does not depend on their distance.

    Raises:
        UserError: A tap is missing, its number of units or of tokens is wrong, an activation is nan or infinite, or an
            option is out of range. In training, a tap without gradient is refused too, and the message names the tap.
            nan and infinity are checked on a CPU only. On other devices the check would be slow, and the loss is nan
            instead.

    Example:
        with topo.record(model) as activations:
            logits = model(input_ids).logits
        loss = task_loss(logits, input_ids) + 2.5 * ts.spatial_loss(activations, topo, neighborhoods=5, radius=5)
    """
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
        skip_first=skip_first,
        reduce=reduce,
    )
    return torch.stack([len(topo.sheets[name].places) * loss for name, loss in losses.items()]).sum()


def _refuse_other_inputs(weights: Mapping[str, Tensor], topo: Topography, objective: str) -> None:
    """Refuse sheets whose taps have different inputs: their weights cannot be compared.

    Raises:
        UserError: Two taps of one sheet have different numbers of inputs. The message names them.
    """
    for name, sheet in topo.sheets.items():
        n_inputs = {tap: len(weights[tap].flatten(0, -2)) for tap in sheet.places if tap in weights}
        if len(set(n_inputs.values())) > 1:
            first, *others = n_inputs
            other = next(tap for tap in others if n_inputs[tap] != n_inputs[first])
            raise UserError(
                f"{objective} compares the weights of neighbouring units, but on the sheet {name} the units of {first} "
                f"have {n_inputs[first]} inputs and those of {other} {n_inputs[other]}: give each tap a sheet (layout "
                "per_tap), choose taps with equally many inputs, or use an objective on responses ('correlation')"
            )


def _used_tokens(
    activations: Mapping[str, Tensor],
    topo: Topography,
    max_samples: int | None,
    skip_first: bool,
    generator: torch.Generator | None,
) -> Int[Tensor, " used"] | None:
    """Return the numbers of the tokens that are used, which are the same for all taps. None: all tokens are used.

    Args:
        activations: {tap: (batch, time, units)}.
        topo: The topography.
        max_samples: Largest number of tokens to use. None: no limit.
        skip_first: Whether the first token of each text is left out.
        generator: Random generator that draws tokens, if there are too many.
    """
    if max_samples is None and not skip_first:
        return None
    x = responses_of(activations, topo)[0][0]
    tokens = None
    if skip_first:
        time = next(iter(activations.values())).shape[-2]
        tokens = torch.arange(len(x)).view(-1, time)[:, 1:].flatten()
    if max_samples is not None:
        at_most = checked_count("max_samples", max_samples)
        check_max_samples(at_most)
        n_tokens = len(x) if tokens is None else len(tokens)
        if n_tokens > at_most:
            device = generator.device if generator is not None else torch.device("cpu")
            drawn = torch.randperm(n_tokens, generator=generator, device=device)[:at_most].sort().values
            tokens = drawn if tokens is None else tokens.to(device)[drawn]
    return None if tokens is None else tokens.to(x.device, non_blocking=True)
