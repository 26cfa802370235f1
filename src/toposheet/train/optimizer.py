"""AdamW, and what changes from update to update: the learning rate and the strength of the objective."""

from __future__ import annotations

import math

import torch
from torch import nn

from toposheet.recipes import Recipe


def adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over the trained parameters; matrices decay, gains do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def learning_rate(update: int, recipe: Recipe) -> float:
    """Return the learning rate of an update (0, 1, ...): linear warm-up, then a cosine to the final rate."""
    if update < recipe.warmup_updates:
        return recipe.learning_rate * (update + 1) / recipe.warmup_updates
    progress = (update - recipe.warmup_updates) / max(1, recipe.updates - recipe.warmup_updates)
    swing = recipe.learning_rate - recipe.final_learning_rate
    return recipe.final_learning_rate + swing * (1 + math.cos(math.pi * progress)) / 2


def strength(update: int, recipe: Recipe) -> float:
    """Return what the spatial loss is multiplied by in an update (0, 1, ...): linear warm-up, then the schedule."""
    if update < recipe.alpha_warmup_updates:
        return recipe.alpha * (update + 1) / recipe.alpha_warmup_updates
    if recipe.final_alpha is None:
        return recipe.alpha
    progress = (update - recipe.alpha_warmup_updates) / max(1, recipe.updates - recipe.alpha_warmup_updates)
    left = 1 - progress if recipe.alpha_schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_alpha + (recipe.alpha - recipe.final_alpha) * left
