"""The optimizers of a run, and the schedules of the learning rates and of alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from toposheet.architectures import architecture_of
from toposheet.recipes import Recipe


def optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Return the optimizers of a run: AdamW, and also Muon if the recipe sets `muon_learning_rate`.

    Muon changes the matrices inside the blocks, and AdamW changes all other parameters. Without Muon, AdamW changes all
    parameters. AdamW applies weight decay to matrices, but not to vectors such as the gains of a norm. Muon (K. Jordan
    et al. 2024) moves the weights along the orthogonalised momentum. The update of Muon is scaled to the size of an
    AdamW update with the same learning rate (arXiv:2502.16982).

    Args:
        model: The model. Parameters that require no gradient get no optimizer.
        recipe: The recipe of the run.
    """
    optimisation = recipe.optimisation
    trained = [p for p in model.parameters() if p.requires_grad]
    blocks = [] if optimisation.muon_learning_rate is None else architecture_of(model).blocks(model)
    in_blocks = {id(p) for block in blocks for p in block.parameters()}
    inside = [p for p in trained if p.ndim == 2 and id(p) in in_blocks]
    rest = [p for p in trained if not (p.ndim == 2 and id(p) in in_blocks)]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": optimisation.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    chosen: list[Optimizer] = [
        torch.optim.AdamW(groups, lr=optimisation.learning_rate, betas=optimisation.betas, fused=True)
    ]
    if optimisation.muon_learning_rate is not None:
        chosen.append(
            torch.optim.Muon(
                inside,
                lr=optimisation.muon_learning_rate,
                weight_decay=optimisation.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return chosen


def set_learning_rates(chosen: Sequence[Optimizer], update: int, recipe: Recipe) -> None:
    """Set the learning rate of every optimizer for one update.

    All optimizers use the same curve. For each optimizer the curve is scaled to the peak learning rate of the
    optimizer.

    Args:
        chosen: The optimizers that `optimizers` returned.
        update: The number of the update, counted from 0.
        recipe: The recipe of the run.
    """
    optimisation = recipe.optimisation
    peaks = (optimisation.learning_rate, optimisation.muon_learning_rate or 0.0)
    share = learning_rate(update, recipe) / optimisation.learning_rate if optimisation.learning_rate else 0.0
    for optimizer, peak in zip(chosen, peaks, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = peak * share


def learning_rate(update: int, recipe: Recipe) -> float:
    """Return the learning rate of AdamW in an update.

    The rate rises linearly during the warm-up, stays constant, and then decays to the final rate.

    Args:
        update: The number of the update, counted from 0.
        recipe: The recipe of the run.
    """
    optimisation = recipe.optimisation
    if update < optimisation.warmup_updates:
        return optimisation.learning_rate * (update + 1) / optimisation.warmup_updates
    after_warmup = max(1, optimisation.updates - optimisation.warmup_updates)
    decays = min(optimisation.decay_updates or after_warmup, after_warmup)
    progress = max(0.0, (update - optimisation.updates + decays) / decays)
    return _on_curve(optimisation.decay, optimisation.learning_rate, optimisation.final_learning_rate, progress)


def strength(update: int, recipe: Recipe) -> float:
    """Return alpha in an update: the number that multiplies the spatial loss.

    Alpha rises linearly during its warm-up and then follows `alpha_schedule`.

    Args:
        update: The number of the update, counted from 0.
        recipe: The recipe of the run.
    """
    objective = recipe.objective
    if update < objective.alpha_warmup_updates:
        return objective.alpha * (update + 1) / objective.alpha_warmup_updates
    if objective.final_alpha is None:
        return objective.alpha
    warmup = objective.alpha_warmup_updates
    progress = (update - warmup) / max(1, recipe.optimisation.updates - warmup)
    return _on_curve(objective.alpha_schedule, objective.alpha, objective.final_alpha, progress)


def _on_curve(curve: str, first: float, last: float, progress: float) -> float:
    """Return a value on a curve (`linear` or `cosine`) that goes from `first` to `last`.

    `progress` is 0 at the start of the curve and 1 at its end.
    """
    left = 1 - progress if curve == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return last + (first - last) * left
