"""Training of low-rank changes (LoRA): the subject that is trained, and the check that gradients reach the changes."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from toposheet.errors import RunError
from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.subject.adapter import adapter_parameters, add_adapter, linear_layers
from toposheet.train.model import frozen_copy
from toposheet.train.task import NextToken

_TOKENS = 8  # of the text with which the gradients are checked


def with_adapter(subject: Subject, recipe: Recipe) -> Subject:
    """Return a subject whose model has the low-rank changes of a recipe. Only these can be trained.

    The model is a copy, which shares the memory of its frozen weights with the model of the subject. The subject is not
    changed.

    Args:
        subject: The subject that is trained further.
        recipe: The recipe of the run. It has a `lora_rank`.
    """
    optimisation = recipe.optimisation
    rank = optimisation.lora_rank
    assert rank is not None, "the recipe trains the weights themselves"
    alpha = 2.0 * rank if optimisation.lora_alpha is None else optimisation.lora_alpha
    model = frozen_copy(subject, shares_weights=True)
    add_adapter(model, linear_layers(model, optimisation.lora_layers), rank, alpha, recipe.seed)
    return Subject(model, subject.topography, subject.tokenizer, subject.interventions, subject.source)


def check_gradients(task: NextToken) -> None:
    """Refuse a model in which the gradient of the task loss reaches no low-rank change. Its weights are not changed.

    A warning in the log names a layer to which no gradient comes, if there is one. The cause can be that a model reads
    the weights of a layer without calling the layer.

    Raises:
        RunError: No low-rank change has a gradient.
    """
    model, training = task.model, task.training
    device = next(model.parameters()).device
    blocks = torch.arange(_TOKENS + 1, device=device)[None]
    task.train()  # gradient checkpointing, which can stop gradients, acts only in training
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
            loss = task(blocks).sum()
        if loss.requires_grad:
            loss.backward()
        # All B are 0 at first. Therefore only the gradients of B can differ from 0.
        reached = {
            name: p.grad is not None and bool(p.grad.any())
            for name, p in adapter_parameters(model).items()
            if ".lora_B." in name
        }
    finally:
        task.train(training)
        model.zero_grad()
    layers = {name: name.partition(".lora_B.")[0] for name in reached}
    unreached = [layers[name] for name, has_gradient in reached.items() if not has_gradient]
    if len(unreached) == len(reached):
        raise RunError(
            f"no gradient reaches the low-rank changes of {type(model).__name__}: choose other lora_layers, turn "
            "gradient checkpointing off, or leave lora_rank out"
        )
    if unreached:
        logging.getLogger(__name__).warning(
            "no gradient reached the low-rank changes of %d of %d layers, such as %s, in a trial with %d tokens",
            len(unreached), len(reached), unreached[0], _TOKENS,
        )  # fmt: skip


def trained_state(task: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a state that training changes: the low-rank changes.

    Args:
        task: The model with its task.
        state: The whole state of the task, by name.
    """
    return {name: state[name] for name in adapter_parameters(task)}
