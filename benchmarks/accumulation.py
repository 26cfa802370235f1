"""Claim: one spatial loss for a whole batch of micro-batches costs one more forward pass, a third of an update.

Both methods make one update of the recipe `demo` from four micro-batches. The published method computes a spatial loss
for each micro-batch. The other method makes two passes, one for the statistics and one for the gradients, and computes
one spatial loss for the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.timing import device, paired
from toposheet import SpatialStatistics, Topography
from toposheet.recipes import named
from toposheet.train.hardware import keep_freed_memory
from toposheet.train.model import build_model
from toposheet.train.optimizer import optimizers

PARTS = 4


def step_of(one_value: bool) -> Callable[[], None]:
    """Return a function that makes one update from four micro-batches.

    Args:
        one_value: True: one spatial loss for the whole batch. False: one spatial loss for each micro-batch.
    """
    recipe = named("demo")
    model = build_model(recipe, end_of_text=0).to(device())  # pyright: ignore
    topo, (optimizer,) = Topography.per_tap(model, recipe.sheets.taps, seed=recipe.seed), optimizers(model, recipe)
    shape = (PARTS, recipe.optimisation.batch, recipe.model.context + 1)
    text = torch.randint(recipe.model.vocabulary, shape, generator=torch.Generator().manual_seed(0)).to(device())

    def forward(part: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        with topo.record(model) as activations:
            return model(input_ids=part[:, :-1], use_cache=False).logits, activations

    def step() -> None:
        statistics = SpatialStatistics(topo)
        if one_value:
            for part in text:
                with torch.no_grad():
                    statistics.add(forward(part)[1])
        for part in text:
            logits, activations = forward(part)
            if not one_value:
                statistics = SpatialStatistics(topo)
                statistics.add(activations)
            task_loss = functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten()) / PARTS
            spatial = torch.stack(list(statistics.losses(activations).values())).sum()
            (task_loss + recipe.objective.alpha * (spatial if one_value else spatial / PARTS)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure() -> list[dict[str, Any]]:
    """Return one row with the times of both methods."""
    keep_freed_memory()
    pair = paired(step_of(one_value=False), step_of(one_value=True), pairs=20)
    return [{"parts": PARTS, "own_ms": 1000 * pair.first, "one_ms": 1000 * pair.second, "ratio": pair.ratio}]
