"""What a model is worth on text that it has not seen, and when training is over."""

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
        task_loss: Mean cross-entropy, nats a token.
        spatial_losses: TopoLM's spatial loss of each sheet over all windows, whatever the objective of the run, so
            that runs can be compared.
    """

    task_loss: float
    spatial_losses: dict[str, float]

    def as_row(self) -> dict[str, object]:
        """Return the losses as they stand in logs, with the mean over sheets."""
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
    """Return the losses on held-out blocks (blocks, context + 1), shared among the processes."""
    objective = recipe.objective
    micro_batches = held_out.split(recipe.optimisation.micro_batch_size)
    task.eval()
    sums = torch.zeros(1 + len(topo.sheets), dtype=torch.float64)
    # All processes make as many forward passes, as sharded weights need it; a pass too many counts for nothing.
    for start in range(0, len(micro_batches), accelerator.num_processes):
        number = start + accelerator.process_index
        blocks = micro_batches[min(number, len(micro_batches) - 1)].to(accelerator.device)
        share = len(blocks) / len(held_out) if number < len(micro_batches) else 0.0
        task_loss = task(blocks)
        losses = spatial_losses(dict(activations), topo, "all", objective.radius, objective.metric, objective.window)
        activations.clear()
        sums += share * torch.stack([task_loss, *losses.values()]).cpu()
    task.train()
    task_loss, *spatial = over_processes(sums.float().to(accelerator.device), accelerator, "sum").tolist()
    return Validation(task_loss, dict(zip(topo.sheets, spatial, strict=True)))


def whole_batches(held_out: Tensor, recipe: Recipe) -> Tensor:
    """Return as many held-out blocks as fill micro-batches; one that is not full would be compiled anew."""
    size = recipe.optimisation.micro_batch_size
    return held_out[: len(held_out) // size * size] if len(held_out) >= size else held_out


def has_stopped_learning(task_losses: Sequence[float], patience: int) -> bool:
    """Return whether the last `patience` validations each had a higher task loss than the one before (TopoLM)."""
    last = task_losses[-patience - 1 :]
    return len(last) > patience and all(earlier < later for earlier, later in pairwise(last))
