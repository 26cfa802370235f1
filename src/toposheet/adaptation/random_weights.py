"""The null of every adaptation: a model of the same architecture that has learned nothing."""

from __future__ import annotations

import copy
from typing import Any

import torch

from toposheet.subject import Subject


def with_random_weights(subject: Subject, seed: int) -> Subject:
    """Return a subject with the same architecture, sheets and tokenizer, whose weights are drawn anew.

    The weights are those with which `transformers` begins to train a model of this configuration.

    Args:
        subject: The subject. It stays as it is, and it has no interventions.
        seed: Seed of the weights. Equal seeds give equal weights.
    """
    model = subject.model
    config, kind = copy.deepcopy(model.config), type(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new: Any = kind(config)
        new.to(dtype=model.dtype).eval()
    return Subject(new, subject.topography, subject.tokenizer)
