"""The spatial loss as a function of statistics that add up over batches and processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed

from toposheet.errors import UserError
from toposheet.settings import Metric
from toposheet.topography.objectives.evaluation import View, evaluate, moments_of, with_gradient
from toposheet.topography.objectives.moments import Moments, NotFiniteError, all_reduce, can_look, full_precision
from toposheet.topography.objectives.objective import OnActivations, objective_named
from toposheet.topography.objectives.windows import windows_of
from toposheet.topography.topography import Topography

# `"auto"` looks at all windows of a sheet that has no more than these: there they cost little more than five.
AUTO = 16


class SpatialStatistics:
    """The spatial loss of a batch that comes in parts: micro-batches, processes, or both.

    The loss is a function of correlations over all tokens, so the mean of the losses of the parts of a batch is not
    the loss of the whole. Here every part is `add`ed first, without gradient; then `losses` gives the loss of the
    whole with, for each part, its share of the gradient: the shares add up to the gradient of the whole batch. The
    cost is one more forward pass for each micro-batch, about a third of a step (docs/benchmarks.md).

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
        topo: Where the units sit.
        neighborhoods: How many windows of each sheet to draw, with replacement; `"all"` for the mean over every
            window; `"auto"` for all of them on sheets so small that this costs little more than five.
        radius: Of the windows, in cells (l-infinity).
        metric: Distance between places, see `spatial_correlation_loss`.
        window: `"open"`, a side of 2 radius - 1 cells, or `"closed"`, 2 radius + 1.
        generator: Source of the randomness of the draw.
        objective: One of those on activations, see `spatial_losses`.
        reduce: `"local"`: over the tokens of this process, as in the published code. `"global"`: over those of all
            processes, which look at the windows that the first one draws. Gradients are scaled so that their *mean*
            over processes, which data-parallel training takes, is the gradient of the whole batch.

    Raises:
        UserError: an option is out of range.
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
        neighborhoods = check_count("neighborhoods", neighborhoods, ("all", "auto"))
        radius = check_count("radius", radius)
        chosen = objective_named(objective)
        if not isinstance(chosen, OnActivations):
            raise UserError(f"objective is {objective!r}, which is on weights: statistics are of activations")
        if reduce not in ("local", "global"):
            raise UserError(f"reduce is {reduce!r}: it must be 'local' or 'global'")
        if reduce == "global" and not distributed.is_initialized():
            raise UserError("reduce is 'global', but there is no process group: start with torchrun, or use 'local'")
        self._topo = topo
        by_name = isinstance(neighborhoods, str)
        self._n_drawn = 5 if by_name else neighborhoods
        # Sheets with no more windows than these are looked at whole.
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
        """Take in the activations of a part of the batch.

        Args:
            activations: What `topo.record` recorded: {tap: (batch, time, units)}. All tokens are samples.
            tokens: Look at these tokens only, each named once by its place in batch x time.

        Raises:
            UserError: a tap is missing, has another width than its sheet or other tokens than the rest, or is not
                finite. The last is seen on a CPU only: elsewhere looking would wait for the device, and the loss is
                nan instead.
        """
        if self._losses is not None:
            raise UserError("a batch is added whole before its losses are asked for: begin a new one")
        sheets = self._responses(activations)
        with torch.no_grad(), full_precision(sheets[0][0].device):
            self._views = self._views or self._draw(sheets[0][0].device)
            try:
                new = moments_of(sheets, tokens, self._views, self._objective)
            except NotFiniteError:
                raise _not_finite(activations, self._topo) from None
            self._moments = [a.merge(b) for a, b in zip(self._moments, new, strict=True)] if self._moments else new
        self._added.add(len(sheets[0][0]))

    def losses(
        self, activations: Mapping[str, Tensor], tokens: Int[Tensor, " tokens"] | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the spatial loss of each sheet over the whole batch, with the gradient of these activations.

        Args:
            activations: Those of a part that was added, computed again with gradient.
            tokens: The same tokens as when the part was added.

        Raises:
            UserError: as `add`; or nothing like them was added, or a tap carries no gradient in training.
        """
        sheets = self._responses(activations)
        if len(sheets[0][0]) not in self._added:
            raise UserError(
                f"no activations of {len(sheets[0][0])} tokens were added: add every part of the batch first, then ask "
                "for the losses with each again"
            )
        refuse_without_gradient(activations, self._topo)
        with full_precision(sheets[0][0].device):
            if self._losses is None:
                with torch.no_grad():
                    if self._processes > 1:
                        self._moments = all_reduce(self._moments)
                    self._losses, self._weights = evaluate(self._views, self._moments, self._objective)
                if can_look(self._losses) and not self._losses.isfinite().all():
                    raise _not_finite(activations, self._topo)
            losses = with_gradient(
                self._losses, sheets, tokens, self._views, self._moments, self._weights, self._processes
            )
        return dict(zip(self._topo.sheets, losses.unbind(), strict=True))

    def _responses(self, activations: Mapping[str, Tensor]) -> list[list[Float[Tensor, "samples _"]]]:
        sheets = responses_of(activations, self._topo)
        _refuse_ragged({name: taps[0] for name, taps in zip(self._topo.sheets, sheets, strict=True)})
        return sheets

    def _draw(self, device: torch.device) -> list[View]:
        """Return what is looked at on each sheet: windows drawn for this batch, or all of them."""
        sheets = self._topo.sheets.values()
        tables = [windows_of(sheet, *self._options, self._objective.shuffled, device) for sheet in sheets]
        on = self._generator.device if self._generator is not None else torch.device("cpu")
        drawn = {
            i: torch.randint(len(table.units), (self._n_drawn,), generator=self._generator, device=on)
            for i, table in enumerate(tables)
            if len(table.units) > self._whole_up_to
        }
        if drawn:
            gathered = torch.stack(list(drawn.values())).to(device, non_blocking=True)
            if self._processes > 1:
                distributed.broadcast(gathered, src=0)
            for i, windows in zip(drawn, gathered, strict=True):
                tables[i] = tables[i].chosen_windows(windows)
        return [View.of(table, sheet.n_units) for table, sheet in zip(tables, sheets, strict=True)]


def responses_of(activations: Mapping[str, Tensor], topo: Topography) -> list[list[Float[Tensor, "samples _"]]]:
    """Return the activations of the taps of each sheet, all tokens as samples.

    Raises:
        UserError: a tap is missing, is no tensor of numbers over tokens, has another width than its sheet, or saw
            other tokens than the rest of its sheet.
    """
    if not topo.taps:
        raise UserError("the topography has no sheets: give it at least one")
    for tap, width in topo.widths.items():
        if tap not in activations:
            raise UserError(f"there are no activations of the tap {tap}; there are: {', '.join(activations)}")
        x = activations[tap]
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
            what = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise UserError(f"the activations of {tap} are {what}: it must be a float tensor (batch, time, units)")
        if x.shape[-1] != width:
            raise UserError(f"the activations of {tap} have {x.shape[-1]} units, its sheet {width}")
    sheets = [[activations[tap].flatten(0, -2) for tap in sheet.places] for sheet in topo.sheets.values()]
    for sheet, taps in zip(topo.sheets.values(), sheets, strict=True):
        _refuse_ragged(dict(zip(sheet.places, taps, strict=True)))
    return sheets


def _refuse_ragged(taps: Mapping[str, Tensor]) -> None:
    counts = {tap: len(x) for tap, x in taps.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise UserError(f"taps have different numbers of tokens, or none ({counts}): give those of one batch")


def refuse_without_gradient(activations: Mapping[str, Tensor], topo: Topography) -> None:
    """Refuse activations that cannot learn, by name, where others can or where the model was in training."""
    if not torch.is_grad_enabled():
        return
    learning = getattr(activations, "training", False) or any(activations[tap].requires_grad for tap in topo.taps)
    for tap in topo.taps:
        if learning and not activations[tap].requires_grad:
            raise UserError(
                f"the activations of {tap} carry no gradient, so the objective would not reach them: use "
                "non-reentrant gradient checkpointing (use_reentrant=False), train this part of the model or leave "
                "its tap out; to measure only, use torch.no_grad()"
            )


def check_count(name: str, value: Any, words: tuple[str, ...] = ()) -> Any:
    """Return a whole number of at least 1, or one of some words; refuse what is neither."""
    if isinstance(value, str):
        fits = value in words
    else:
        fits = isinstance(value, int | np.integer | torch.SymInt) and not isinstance(value, bool) and value >= 1
    if not fits:
        wanted = " or ".join(["a whole number of at least 1", *map(repr, words)])
        raise UserError(f"{name} is {value!r}: it must be {wanted}")
    # As torch.compile traces, a number stays open until something hangs on it, and tables need it settled.
    return value if isinstance(value, str) else len(range(value))


def _not_finite(activations: Mapping[str, Tensor], topo: Topography) -> NotFiniteError:
    """Return the error that names the taps that are not finite, or whose sums or products are not."""
    for power in (1, 2):
        bad = [t for t in topo.taps if not activations[t].detach().float().pow(power).sum().isfinite()]
        if bad:
            return NotFiniteError(f"the activations of {', '.join(bad)}")
    return NotFiniteError("the activations")
