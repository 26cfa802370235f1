"""The null of every adaptation: a model of the same architecture that has learned nothing."""

from __future__ import annotations

import copy
from typing import Any

import torch

from toposheet.subject import Subject


def with_random_weights(subject: Subject, seed: int) -> Subject:
    """Return a subject with the same architecture, sheets and tokenizer, whose weights are drawn anew.

    The weights are those with which `transformers` begins to train a model of this configuration. Only the vector of
    the padding token is random too, and not 0: this token often ends texts, so text has it. Where a block begins with a
    vector of 0, all layers of a model without biases are 0, and the gradient grows from layer to layer without bound.

    Args:
        subject: The subject. It stays as it is, and it has no interventions.
        seed: Seed of the weights. Equal seeds give equal weights.
    """
    model = subject.model
    config, kind = copy.deepcopy(model.config), type(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new: Any = kind(config)
        embeddings: Any = subject.architecture.embeddings(new)
        if (padding := getattr(embeddings, "padding_idx", None)) is not None:
            with torch.no_grad():
                embeddings.weight[padding].normal_(std=embeddings.weight.std().item())
        new.to(dtype=model.dtype).eval()
    return Subject(new, subject.topography, subject.tokenizer)
