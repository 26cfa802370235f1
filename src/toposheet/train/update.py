"""One update of the weights: forward and backward passes of the micro-batches, clipping, a step of the optimizers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from transformers import PreTrainedModel

from toposheet.errors import RunError
from toposheet.recipes import Recipe
from toposheet.topography import OBJECTIVES, NotFiniteError, Topography, spatial_losses
from toposheet.topography.taps import Activations
from toposheet.train.optimizer import set_learning_rates, strength
from toposheet.train.parallel import over_processes, synchronised


@dataclass(frozen=True)
class Measured:
    """The losses and the gradient norm of an update, over all processes.

    Args:
        task_loss: Mean cross-entropy, in nats per token.
        divergence: Mean KL divergence of the next-token probabilities from those of the original, in nats per token.
            None: no distillation.
        gradient_norm: Norm of the gradient over all parameters, before clipping.
        spatial_losses: The spatial loss of each sheet, as the mean over micro-batches. Empty without objective.
        alpha: The number that multiplied the sum of the spatial losses.
        weighted_spatial_loss: Alpha times the sum of the spatial losses over taps, which TopoLM's published code logs.
            The loss of a sheet with several taps counts once for each of them.
    """

    task_loss: float
    divergence: float | None
    gradient_norm: float
    spatial_losses: dict[str, float]
    alpha: float
    weighted_spatial_loss: float


class Updater:
    """Makes the updates of a run.

    Args:
        model: The model inside `task`.
        task: The model with its loss, distributed over the processes (`parallel.parallelise`). It can have weights of
            its own, which are trained too.
        optimizers: The optimizers of the run.
        topo: The topography of the model.
        activations: The activations of the taps. Every forward pass fills this dict again.
        recipe: The recipe of the run.
        accelerator: The accelerator of this process.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        task: nn.Module,
        optimizers: Sequence[Optimizer],
        topo: Topography,
        activations: Activations,
        recipe: Recipe,
        accelerator: Accelerator,
    ) -> None:
        self._model, self._task, self._optimizers = model, task, optimizers
        self._topo, self._activations = topo, activations
        self._recipe, self._accelerator = recipe, accelerator
        self._names = list(topo.sheets) if recipe.has_objective else []
        self._n_taps = [len(topo.sheets[name].places) for name in self._names]
        share = recipe.optimisation.distillation
        self._shares = [1 - share, share] if share else [1.0]  # of the losses of the task
        self._on_weights = OBJECTIVES[recipe.objective.name].on_weights

    def __call__(self, update: int, batch: Int[Tensor, "micro_batches batch columns"]) -> Measured:
        """Change the weights by one update, and return its losses.

        Args:
            update: The number of the update, counted from 0.
            batch: What the task reads: the micro-batches of this process, for text its token ids
                (`batches.prefetched`).

        Raises:
            RunError: A loss or a gradient is nan or inf. The weights are not changed. The message names the first tap,
                sheet or parameter with such a value.
        """
        set_learning_rates(self._optimizers, update, self._recipe)
        alpha, n_task = strength(update, self._recipe), len(self._shares)
        factors = torch.tensor([*self._shares, *(alpha * n for n in self._n_taps)], device=batch.device)
        sums = torch.zeros_like(factors)
        for index, blocks in enumerate(batch):
            seed = self._seed(update, index)
            with _seeded(seed, batch.device), synchronised(self._task, now=index == len(batch) - 1):
                losses = self._task(blocks)
                if self._names:
                    losses = torch.cat([losses, self._spatial_losses(seed)])
                (losses @ factors / len(batch)).backward()
            self._activations.clear()
            sums += losses.detach()
        gradients = {_plain(name): p.grad for name, p in self._task.named_parameters() if p.grad is not None}
        norm = _whole(get_total_norm(list(gradients.values())))
        means = over_processes(sums / len(batch), self._accelerator, "mean")
        measured = torch.cat([norm[None], means])
        gradient_norm, *values = measured.tolist()  # the only time in an update that the CPU waits for the GPU
        task, spatial = values[:n_task], values[n_task:]
        if not measured.isfinite().all():
            raise RunError(self._not_finite(measured, batch, gradients))
        clip_grads_with_norm_(self._task.parameters(), self._recipe.optimisation.clip, norm)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        divergence = task[1] if n_task > 1 else None
        weighted = alpha * sum(n * loss for n, loss in zip(self._n_taps, spatial, strict=True))
        return Measured(
            task[0], divergence, gradient_norm, dict(zip(self._names, spatial, strict=True)), alpha, weighted
        )

    def _seed(self, update: int, index: int) -> int:
        """Return the seed of a micro-batch. It does not depend on the number of processes.

        Args:
            update: The number of the update, counted from 0.
            index: The number of the micro-batch in this process, counted from 0.
        """
        batch_index = index * self._accelerator.num_processes + self._accelerator.process_index
        sequence = np.random.SeedSequence((self._recipe.seed, update, batch_index))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)

    def _spatial_losses(self, seed: int) -> Float[Tensor, " sheets"]:
        """Return the spatial loss of each sheet, computed with the objective of the recipe.

        Args:
            seed: The seed of the windows that are drawn for this micro-batch.
        """
        objective = self._recipe.objective
        try:
            losses = spatial_losses(
                self._topo.weights(self._model) if self._on_weights else self._activations,
                self._topo,
                objective.neighborhoods,
                objective.radius,
                objective.metric,
                objective.window,
                torch.Generator().manual_seed(seed),
                objective=objective.name,
                max_samples=objective.max_samples,
                skip_first=objective.skip_first,
            )
        except NotFiniteError as error:
            raise RunError(str(error)) from None
        return torch.stack(list(losses.values()))

    def _not_finite(self, measured: Tensor, batch: Tensor, gradients: dict[str, Tensor]) -> str:
        """Return a message that says which value is nan or inf, and where the first such value is.

        The weights must not have changed since `measured` was computed.
        """
        _, *finite = measured.isfinite().tolist()
        task, spatial = finite[: len(self._shares)], finite[len(self._shares) :]
        if not all(task):
            return f"the task loss is nan or inf, first in {self._first_tap(batch)}"
        if not all(spatial):
            return f"the spatial loss is nan or inf, first on the sheet {self._names[spatial.index(False)]}"
        backwards = reversed(gradients.items())  # the order in which the backward pass computes them
        first = next(
            (name for name, gradient in backwards if not _whole(gradient.isfinite().all())),
            "the norm over all parameters",
        )
        return f"the gradient is nan or inf, first in {first}"

    @torch.no_grad()
    def _first_tap(self, batch: Tensor) -> str:
        """Return the first tap with nan or inf in its activations; without such a tap, return other possible places."""
        for blocks in batch:
            self._task(blocks)
            for tap in self._topo.taps:
                if not self._activations[tap].isfinite().all():
                    return tap
        return "the output layer or in another process"


@contextmanager
def _seeded(seed: int, device: torch.device) -> Generator[None, None, None]:
    """Seed torch's random numbers (dropout) inside this context.

    A run that continues from a checkpoint then draws the same numbers as a run that never stopped.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _plain(name: str) -> str:
    """Return the name of a parameter of the task without the names of the modules around the model."""
    return name.removeprefix("module.").removeprefix("model.")


def _whole(tensor: Tensor) -> Tensor:
    """Return a tensor with all values, if it was divided among the processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
