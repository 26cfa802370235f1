"""Claim: what topography costs in a training step, objective on against strength 0, next to nothing.

Both steps run in turn on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional
from torch.optim import AdamW
from transformers import PreTrainedModel

from benchmarks.timing import device, paired
from toposheet import Topography, spatial_loss
from toposheet.recipes import Recipe, demo
from toposheet.train.hardware import keep_freed_memory
from toposheet.train.model import build_model
from toposheet.train.optimizer import adamw

PAPER = replace(
    demo(),
    name="paper's size",
    layers=12,
    heads=16,
    width=784,
    context=1024,
    vocabulary=50304,
    batch=48,
    max_samples=None,
)


def setting(recipe: Recipe, n_batches: int) -> tuple[PreTrainedModel, Topography, AdamW, torch.Tensor]:
    """Return a freshly built model, its topography and optimizer, and batches of random tokens."""
    model = build_model(recipe, end_of_text=0)
    model.to(device())  # pyright: ignore
    shape = (n_batches, recipe.batch, recipe.context + 1)
    text = torch.randint(recipe.vocabulary, shape, generator=torch.Generator().manual_seed(0)).to(device())
    return model, Topography.per_tap(model, recipe.taps, seed=recipe.seed), adamw(model, recipe), text


def step_of(recipe: Recipe) -> Callable[[], None]:
    """Return a function that makes one update of a freshly built model."""
    model, topo, optimizer, text = setting(recipe, n_batches=8)
    updates = iter(range(10**9))
    half = torch.autocast(device().type, torch.bfloat16, enabled=device().type == "cuda")

    def step() -> None:
        update = next(updates)
        batch = text[update % len(text)]
        with half, topo.record(model) as activations:
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        if recipe.alpha > 0:
            loss = loss + recipe.alpha * spatial_loss(
                activations,
                topo,
                recipe.neighborhoods,
                recipe.radius,
                generator=torch.Generator().manual_seed(update),
                max_samples=recipe.max_samples,
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure() -> list[dict[str, Any]]:
    """Return one row for each recipe: on a CPU the demo's, on a GPU the paper's size."""
    keep_freed_memory()
    whole = replace(demo(), name="demo, all tokens of a batch", max_samples=None)
    cases = {"cpu": [(demo(), 1.10), (whole, None)], "cuda": [(PAPER, 1.02), (replace(PAPER, max_samples=8192), None)]}
    rows = []
    for recipe, bar in cases[device().type]:
        pair = paired(step_of(recipe.control()), step_of(recipe), pairs=60, warm_up=5)
        rows.append({
            "recipe": recipe.name, "max_samples": recipe.max_samples, "without_ms": 1000 * pair.first,
            "with_ms": 1000 * pair.second, "ratio": pair.ratio, "at_most": bar,
        })  # fmt: skip
    return rows
