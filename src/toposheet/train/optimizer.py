"""What changes the weights, and what changes from update to update: learning rates and strength of the objective."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from toposheet.recipes import Recipe


def optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Return AdamW over the trained parameters, with Muon for the matrices inside the blocks if the recipe has it.

    AdamW decays matrices, not gains. Muon (K. Jordan et al. 2024) moves along the orthogonalised momentum; its rate is
    that of an AdamW update of equal size (arXiv:2502.16982).
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inside = {} if recipe.muon_learning_rate is None else _inside_blocks(trained)
    rest = [p for name, p in trained.items() if name not in inside]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    chosen: list[Optimizer] = [torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)]
    if recipe.muon_learning_rate is not None:
        chosen.append(
            torch.optim.Muon(
                list(inside.values()),
                lr=recipe.muon_learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return chosen


def _inside_blocks(parameters: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Return the matrices of numbered layers: all but embeddings, positions and the output layer."""
    return {
        name: p for name, p in parameters.items() if p.ndim == 2 and any(step.isdigit() for step in name.split("."))
    }


def set_learning_rates(chosen: Sequence[Optimizer], update: int, recipe: Recipe) -> None:
    """Give every optimizer its learning rate for an update: all follow one curve, each from its own peak."""
    peaks = (recipe.learning_rate, recipe.muon_learning_rate or 0.0)
    share = learning_rate(update, recipe) / recipe.learning_rate if recipe.learning_rate else 0.0
    for optimizer, peak in zip(chosen, peaks, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = peak * share


def learning_rate(update: int, recipe: Recipe) -> float:
    """Return AdamW's learning rate in an update (0, 1, ...): linear warm-up, constant, decay to the final rate."""
    if update < recipe.warmup_updates:
        return recipe.learning_rate * (update + 1) / recipe.warmup_updates
    after_warmup = max(1, recipe.updates - recipe.warmup_updates)
    decays = min(recipe.decay_updates or after_warmup, after_warmup)
    progress = max(0.0, (update - recipe.updates + decays) / decays)
    left = 1 - progress if recipe.decay == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_learning_rate + (recipe.learning_rate - recipe.final_learning_rate) * left


def strength(update: int, recipe: Recipe) -> float:
    """Return what the spatial loss is multiplied by in an update (0, 1, ...): linear warm-up, then the schedule."""
    if update < recipe.alpha_warmup_updates:
        return recipe.alpha * (update + 1) / recipe.alpha_warmup_updates
    if recipe.final_alpha is None:
        return recipe.alpha
    progress = (update - recipe.alpha_warmup_updates) / max(1, recipe.updates - recipe.alpha_warmup_updates)
    left = 1 - progress if recipe.alpha_schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_alpha + (recipe.alpha - recipe.final_alpha) * left
