"""Distillation: the original from which a subject that is trained further learns to predict."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from toposheet.architectures.attention import attention, block_attention, default_attention
from toposheet.architectures.mode import in_mode
from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.train.model import frozen_copy


def original_of(subject: Subject, recipe: Recipe) -> PreTrainedModel:
    """Return the original from which a run with distillation learns: a copy of the model of the subject.

    Its attention is that of the model in training (`block_attention`). With another one, both would differ by rounding,
    and a model that is only asked to stay as it is would not.

    Args:
        subject: The subject that is trained further.
        recipe: The recipe of the run.
    """
    original = frozen_copy(subject, shares_weights=recipe.optimisation.lora_rank is not None)
    if (wanted := block_attention(original, recipe.model.context)) != default_attention(original):
        original.set_attn_implementation(wanted)
    return original


@torch.no_grad()
def stays(subject: Subject, recipe: Recipe, blocks: Int[Tensor, "blocks time"]) -> bool:
    """Return whether a training with alpha 0 changes no weight: it begins where all that is asked for is reached.

    This is so if the task is only to predict as the original did, there is no weight decay, and the model in training
    computes to the bit what the original computes. Dropout, for example, makes a difference.

    Args:
        subject: The subject before the training.
        recipe: The recipe.
        blocks: Token ids of some text. At most two blocks are read.
    """
    if recipe.optimisation.distillation != 1 or recipe.optimisation.weight_decay != 0:
        return False
    original, context = original_of(subject, recipe), recipe.model.context
    with subject.running() as model:
        blocks = blocks[:2].to(model.device)
        with in_mode(model, training=True), torch.random.fork_rng(), attention(model, block_attention(model, context)):
            logits = model(input_ids=blocks, use_cache=False).logits
    return torch.equal(logits, original.to(blocks.device)(input_ids=blocks, use_cache=False).logits)  # pyright: ignore
