"""The spatial loss of a batch that comes in parts, through moments that add up over micro-batches and processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed

from toposheet.errors import UserError, check_type
from toposheet.settings import Metric
from toposheet.topography.objectives.evaluation import View, evaluate, moments_of, together, with_gradient
from toposheet.topography.objectives.moments import Moments, NotFiniteError, all_reduce, can_read_values, full_precision
from toposheet.topography.objectives.objective import OnActivations, objective_named
from toposheet.topography.objectives.windows import windows_of
from toposheet.topography.topography import Topography

# `neighborhoods="auto"` takes all windows of a sheet with at most this number of windows: they cost little more than 5.
AUTO = 16


class SpatialStatistics:
    """The spatial loss of a batch that comes in parts: in micro-batches, in several processes, or both.

    The loss depends on correlations over all tokens of a batch. Therefore the mean of the losses of the parts is not
    the loss of the whole batch. To get the loss of the whole batch, first `add` the activations of every part, without
    gradient. Then call `losses` with the activations of each part again, this time with gradient. Each call returns the
    loss of the whole batch, and gives the part its share of the gradient. The shares add up to the gradient of the
    whole batch. The cost is one more forward pass for each micro-batch, about a third of a training step
    (docs/benchmarks.md).

    Example:
        statistics = ts.SpatialStatistics(topo, generator=generator)
        for part in parts:
            with torch.no_grad(), topo.record(model) as activations:
                model(part)
            statistics.add(activations)
        for part in parts:
            with topo.record(model) as activations:
                task_loss = next_token_loss(model(part), part)
            (task_loss / len(parts) + alpha * sum(statistics.losses(activations).values())).backward()

    Args:
        topo: The topography: the sheets, and the place of each unit.
        neighborhoods: Which windows of each sheet count: a number of random windows for each of its taps, `"all"` or
            `"auto"`; see `spatial_loss`.
        radius: Size of the windows, in cells; see `spatial_loss`.
        metric: Distance between two places, `"chebyshev"` or `"euclidean"`; see `spatial_loss`.
        window: `"open"` or `"closed"`; see `spatial_loss`.
        generator: Random generator that draws the windows. None: the global generator of torch.
        objective: Name of an objective on activations; see `spatial_loss`.
        reduce: `"local"`: correlations over the tokens of this process, as in the published code. `"global"`:
            correlations over the tokens of all processes. The first process then draws the windows for all processes.
            Each process multiplies its gradient by the number of processes. Thus the *mean* of the gradients over
            processes, which data-parallel training computes, is the gradient of the whole batch.

    Raises:
        UserError: An option is out of range.
    """

    def __init__(
        self,
        topo: Topography,
        neighborhoods: int | Literal["all", "auto"] = 5,
        radius: int = 5,
        metric: Metric = "chebyshev",
        window: Literal["open", "closed"] = "open",
        generator: torch.Generator | None = None,
        *,
        objective: str = "correlation",
        reduce: Literal["local", "global"] = "local",
    ) -> None:
        check_type("topo", topo, Topography, "a toposheet.Topography: subject.topography")
        neighborhoods = checked_count("neighborhoods", neighborhoods, ("all", "auto"))
        radius = checked_count("radius", radius)
        chosen = objective_named(objective)
        if not isinstance(chosen, OnActivations):
            raise UserError(
                f"objective is {objective!r}, which needs weights: take an objective on activations, or spatial_loss"
            )
        if reduce not in ("local", "global"):
            raise UserError(f"reduce is {reduce!r}: it must be 'local' or 'global'")
        if reduce == "global" and not distributed.is_initialized():
            raise UserError(
                "reduce is 'global', but there is no process group: start with torchrun, or use reduce='local'"
            )
        self._topo = topo
        by_name = isinstance(neighborhoods, str)
        self._n_drawn = 5 if by_name else neighborhoods
        # If a sheet has at most this number of windows, all of them count.
        self._whole_up_to = {"all": math.inf, "auto": AUTO}[neighborhoods] if by_name else 0
        self._options = (radius, str(metric), str(window))
        self._generator = generator
        self._objective = chosen
        self._processes = distributed.get_world_size() if reduce == "global" else 1
        self._added: set[int] = set()
        self._views: list[View] = []
        self._moments: list[Moments] = []
        self._losses: Tensor | None = None
        self._weights: list[Tensor] = []

    def add(self, activations: Mapping[str, Tensor], tokens: Int[Tensor, " tokens"] | None = None) -> None:
        """Add the activations of a part of the batch.

        Args:
            activations: What `topo.record` recorded: {tap: (batch, time, units)}. Each token is one sample.
            tokens: Indices of the tokens to use, each at most once: token t of text b has the index b * time + t.
                None: all tokens.

        Raises:
            UserError: A tap is missing, its number of units or of tokens is wrong, or an activation is not finite. The
                last is checked on a CPU only: on other devices the check would be slow, and the loss is nan instead.
        """
        if self._losses is not None:
            raise UserError(
                "losses were already computed, so nothing can be added: add all parts first, "
                "or make a new SpatialStatistics"
            )
        sheets = self._responses(activations)
        with torch.no_grad(), full_precision(sheets[0][0].device):
            self._views = self._views or self._draw(sheets)
            try:
                new = moments_of(sheets, tokens, self._views, self._objective)
            except NotFiniteError:
                raise _not_finite(activations, self._topo) from None
            self._moments = [a.merge(b) for a, b in zip(self._moments, new, strict=True)] if self._moments else new
        self._added.add(len(sheets[0][0]))

    def losses(
        self, activations: Mapping[str, Tensor], tokens: Int[Tensor, " tokens"] | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the spatial loss of each sheet over the whole batch; its gradient goes to the given activations.

        Args:
            activations: The activations of a part that was added before, computed again with gradient.
            tokens: The same tokens as in `add` of this part.

        Raises:
            UserError: As in `add`; or no part with this number of tokens was added; or, in training, a tap has no
                gradient.
        """
        sheets = self._responses(activations)
        if len(sheets[0][0]) not in self._added:
            raise UserError(
                f"no activations of {len(sheets[0][0])} tokens were added: first call add() with every part of the "
                "batch, then call losses() with every part"
            )
        refuse_without_gradient(activations, self._topo)
        learning = torch.is_grad_enabled() and any(x.requires_grad for taps in sheets for x in taps)
        with full_precision(sheets[0][0].device):
            losses = self._evaluated(activations, learning)
            if learning:
                losses = with_gradient(
                    losses, sheets, tokens, self._views, self._moments, self._weights, self._processes
                )
        return dict(zip(self._topo.sheets, losses.unbind(), strict=True))

    def _evaluated(self, activations: Mapping[str, Tensor], learning: bool) -> Float[Tensor, " sheets"]:
        """Return the loss of each sheet. The gradient with respect to products is kept, if it is needed."""
        with torch.no_grad():
            if self._losses is None and self._processes > 1:
                self._moments = all_reduce(self._moments)
            if self._losses is None or (learning and not self._weights):
                self._losses, self._weights = evaluate(self._views, self._moments, self._objective, learning)
                if can_read_values(self._losses) and not math.isfinite(self._losses.sum()):
                    raise _not_finite(activations, self._topo)
        return self._losses

    def _responses(self, activations: Mapping[str, Tensor]) -> list[list[Float[Tensor, "samples _"]]]:
        sheets = responses_of(activations, self._topo)
        _refuse_ragged({name: taps[0] for name, taps in zip(self._topo.sheets, sheets, strict=True)})
        return sheets

    def _draw(self, responses: list[list[Float[Tensor, "samples _"]]]) -> list[View]:
        """Return the windows of the sheets that count: random windows of this batch, or all windows.

        Args:
            responses: For each sheet, the responses of the units of each of its taps.
        """
        sheets, device = self._topo.sheets.values(), responses[0][0].device
        tables = [windows_of(sheet, *self._options, self._objective.shuffled, device) for sheet in sheets]
        on = self._generator.device if self._generator is not None else torch.device("cpu")
        drawn = {
            i: torch.randint(len(table.units), (self._n_drawn * len(taps),), generator=self._generator, device=on)
            for i, (table, taps) in enumerate(zip(tables, responses, strict=True))
            if len(table.units) > self._whole_up_to
        }
        if drawn:
            gathered = torch.cat(list(drawn.values())).to(device, non_blocking=True)
            if self._processes > 1:
                distributed.broadcast(gathered, src=0)
            of_sheets = gathered.split([len(windows) for windows in drawn.values()])
            for i, windows in zip(drawn, of_sheets, strict=True):
                tables[i] = tables[i].chosen_windows(windows)
        return together([View.of(table, taps) for table, taps in zip(tables, responses, strict=True)], responses)


def responses_of(activations: Mapping[str, Tensor], topo: Topography) -> list[list[Float[Tensor, "samples _"]]]:
    """Return the activations of the taps of each sheet, with all tokens as samples.

    Args:
        activations: {tap: (batch, time, units)}.
        topo: The topography, which says which taps lie on which sheet.

    Raises:
        UserError: A tap is missing, its activations are not a floating-point tensor, or its number of units or of
            tokens is wrong.
    """
    check_type("topo", topo, Topography, "a toposheet.Topography: subject.topography")
    check_type("activations", activations, Mapping, "what toposheet recorded: {tap: (batch, time, units)}")
    if not topo.taps:
        raise UserError("the topography has no sheets: give it at least one")
    if not activations:
        raise UserError(
            "nothing was recorded: run the model inside `with subject.record() as activations` (or topography.record("
            "model)), and ask for the loss afterwards"
        )
    for tap, width in topo.widths.items():
        if tap not in activations:
            raise UserError(
                f"there are no activations of the tap {tap}; the recorded taps are: {', '.join(activations)}"
            )
        x = activations[tap]
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
            what = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise UserError(f"the activations of {tap} are {what}: it must be a float tensor (batch, time, units)")
        if x.shape[-1] != width:
            raise UserError(
                f"the activations of {tap} have {x.shape[-1]} units, but its sheet has {width}: "
                "record the model of this topography"
            )
    sheets = [[activations[tap].flatten(0, -2) for tap in sheet.places] for sheet in topo.sheets.values()]
    for sheet, taps in zip(topo.sheets.values(), sheets, strict=True):
        _refuse_ragged(dict(zip(sheet.places, taps, strict=True)))
    return sheets


def _refuse_ragged(taps: Mapping[str, Tensor]) -> None:
    counts = {tap: x.shape[0] for tap, x in taps.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise UserError(f"taps have different numbers of tokens, or 0 tokens ({counts}): give activations of one batch")


def refuse_without_gradient(activations: Mapping[str, Tensor], topo: Topography) -> None:
    """Refuse activations without gradient in training; the message names the tap.

    Activations are in training if the model was in training when they were recorded, or if another tap has a gradient.

    Args:
        activations: {tap: (batch, time, units)}.
        topo: The topography, which names the taps.

    Raises:
        UserError: A tap has no gradient.
    """
    if not torch.is_grad_enabled():
        return
    learning = getattr(activations, "training", False) or any(activations[tap].requires_grad for tap in topo.taps)
    for tap in topo.taps:
        if learning and not activations[tap].requires_grad:
            raise UserError(
                f"the activations of {tap} have no gradient, so the objective cannot train them: use non-reentrant "
                "gradient checkpointing (use_reentrant=False), unfreeze this part of the model, or remove the tap from "
                "the topography; to measure without training, use torch.no_grad()"
            )


def checked_count(name: str, value: Any, words: tuple[str, ...] = ()) -> Any:
    """Return the value if it is a whole number of at least 1 or an allowed word; refuse other values.

    Args:
        name: Name of the option, for the error message.
        value: The value.
        words: The allowed words.

    Raises:
        UserError: The value is neither.
    """
    if isinstance(value, str):
        fits = value in words
    else:
        fits = isinstance(value, int | np.integer | torch.SymInt) and not isinstance(value, bool) and value >= 1
    if not fits:
        wanted = " or ".join(["a whole number of at least 1", *map(repr, words)])
        raise UserError(f"{name} is {value!r}: it must be {wanted}")
    # torch.compile may trace a number as a symbol. len(range(...)) makes a fixed number of it, which tables need.
    return value if isinstance(value, str) else len(range(value))


def _not_finite(activations: Mapping[str, Tensor], topo: Topography) -> NotFiniteError:
    """Return the error that names the taps whose activations, or their sums or squares, are not finite."""
    for power in (1, 2):
        bad = [t for t in topo.taps if not activations[t].detach().float().pow(power).sum().isfinite()]
        if bad:
            return NotFiniteError(f"the activations of {', '.join(bad)}")
    return NotFiniteError("the activations")
