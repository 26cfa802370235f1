"""The losses on held-out text, and the rule of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from toposheet.recipes import Recipe
from toposheet.topography import Topography, spatial_losses
from toposheet.train.parallel import over_processes


@dataclass(frozen=True)
class Validation:
    """Losses on held-out text.

    Args:
        task_loss: Mean cross-entropy, in nats per token.
        spatial_losses: TopoLM's spatial loss of each sheet, over all windows. It is computed in the same way for every
            objective, so that runs with different objectives can be compared.
    """

    task_loss: float
    spatial_losses: dict[str, float]

    def as_row(self) -> dict[str, object]:
        """Return the losses under the names that the log uses, with the mean of the spatial losses over the sheets."""
        return {
            "validation_task_loss": self.task_loss,
            "validation_spatial_loss": float(np.mean(list(self.spatial_losses.values()))),
            "validation_spatial_losses": self.spatial_losses,
        }


@torch.no_grad()
def validate(
    task: nn.Module, topo: Topography, activations: dict[str, Tensor], held_out: Tensor, recipe: Recipe,
    accelerator: Accelerator,
) -> Validation:  # fmt: skip
    """Return the losses on held-out text. The processes share the work.

    Args:
        task: The model with its loss, distributed over the processes.
        topo: The topography of the model.
        activations: The activations of the taps. Every forward pass fills this dict again.
        held_out: Token ids of the held-out blocks, shape (blocks, context + 1).
        recipe: The recipe of the run.
        accelerator: The accelerator of this process.
    """
    objective = recipe.objective
    micro_batches = held_out.split(recipe.optimisation.micro_batch_size)
    task.eval()
    sums = torch.zeros(1 + len(topo.sheets), dtype=torch.float64)
    # Divided weights (FSDP2) need the same number of forward passes in every process. A process that has no micro-batch
    # left computes the last micro-batch again, with weight 0.
    for start in range(0, len(micro_batches), accelerator.num_processes):
        number = start + accelerator.process_index
        blocks = micro_batches[min(number, len(micro_batches) - 1)].to(accelerator.device)
        share = len(blocks) / len(held_out) if number < len(micro_batches) else 0.0
        task_loss = task(blocks)[0]
        losses = spatial_losses(
            dict(activations), topo, "all", objective.radius, objective.metric, objective.window,
            skip_first=objective.skip_first,
        )  # fmt: skip
        activations.clear()
        sums += share * torch.stack([task_loss, *losses.values()]).cpu()
    task.train()
    task_loss, *spatial = over_processes(sums.float().to(accelerator.device), accelerator, "sum").tolist()
    return Validation(task_loss, dict(zip(topo.sheets, spatial, strict=True)))


def whole_batches(held_out: Tensor, recipe: Recipe) -> Tensor:
    """Return the held-out blocks that fill whole micro-batches.

    A smaller last micro-batch would make `torch.compile` compile the model again. If the blocks do not fill one
    micro-batch, all blocks are returned.
    """
    size = recipe.optimisation.micro_batch_size
    return held_out[: len(held_out) // size * size] if len(held_out) >= size else held_out


def has_stopped_learning(task_losses: Sequence[float], patience: int) -> bool:
    """Return whether the task loss increased in each of the last `patience` validations (the rule of TopoLM).

    Args:
        task_losses: The task losses of all validations so far, in order.
        patience: The number of increases in a row that ends a run.
    """
    last = task_losses[-patience - 1 :]
    return len(last) > patience and all(earlier < later for earlier, later in pairwise(last))
