"""Which models predict the next token: causal decoders with a language-model head."""

from __future__ import annotations

import weakref

import torch
from torch import nn
from transformers import PreTrainedModel

from toposheet.architectures.mode import in_mode
from toposheet.errors import UserError
from toposheet.subject.subject import Subject

_SAME_LOGITS = 1e-4  # relative difference of the logits of one token in two rows of a batch, by rounding

_PREDICTS: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Models that are known to predict the next token, so that they are tried only once."""


def check_predicts(subject: Subject) -> None:
    """Refuse a subject that does not predict the next token. This needs no text.

    Raises:
        UserError: The model is an encoder, or an encoder with a decoder, or it has no language-model head.
    """
    with subject.running() as model:
        if model in _PREDICTS:
            return
        kind = type(model).__name__
        decoder = "the task is to predict the next token, so give a causal decoder, such as GPT-2 or Llama"
        if getattr(model.config, "is_encoder_decoder", False):
            raise UserError(f"{kind} has an encoder and a decoder: {decoder}")
        subject.architecture.head(model)
        if _sees_next_tokens(model):
            raise UserError(f"{kind} is an encoder, whose tokens see the tokens after them: {decoder}")
        _PREDICTS.add(model)


def _sees_next_tokens(model: PreTrainedModel) -> bool:
    """Return whether a model reads the tokens after a token. Two texts are read that differ in their last token."""
    ids = torch.zeros((2, 3), dtype=torch.long, device=model.device)
    ids[1, -1] = 1
    with in_mode(model, training=False):
        one, other = model(input_ids=ids, use_cache=False).logits[:, 0].float()
    return bool((one - other).abs().max() > _SAME_LOGITS * one.abs().max())
