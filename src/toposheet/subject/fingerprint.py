"""What a subject is, in 64 letters: two subjects that respond alike to every text have the same fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.subject.interventions import Intervention
from toposheet.subject.tokens import tokenizer_digest
from toposheet.topography import Topography

_CHANGES_NOTHING = ("_name_or_path", "transformers_version", "torch_dtype", "dtype")


def fingerprint(
    model: PreTrainedModel, topography: Topography, tokenizer: Any, interventions: Sequence[Intervention]
) -> str:
    """Return the SHA-256 of weights, configuration, places, tokenizer and interventions, as hexadecimal digits.

    Args:
        model: On which device it is, and in which mode, does not matter; the precision of its weights does.
        topography: Where its units sit.
        tokenizer: Its tokenizer, or None.
        interventions: What is done to its units, in order.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    config = {name: value for name, value in model.config.to_dict().items() if name not in _CHANGES_NOTHING}
    digest.update(repr(sorted(config.items(), key=lambda item: item[0])).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    for name, sheet in topography.sheets.items():
        digest.update(f"{name} {sheet.shape} {sheet.spacing_mm}".encode())
        for tap, places in sheet.places.items():
            digest.update(tap.encode() + np.ascontiguousarray(places, dtype=np.int64).tobytes())
    for intervention in interventions:
        digest.update(intervention.digest())
    if tokenizer is not None:
        digest.update(tokenizer_digest(tokenizer))
    return digest.hexdigest()


def versions(model: nn.Module) -> tuple[Any, ...]:
    """Return a value that changes whenever a parameter or buffer of a model is replaced or written to.

    Torch counts the writes to a tensor. It does not count those through `.data`, so the sum of the values is taken too:
    next to a hash of all weights it costs little.
    """
    tensors = _tensors(model)
    return tuple((name, t.data_ptr(), t.dtype, _writes(t), _sum(t)) for name, t in tensors if not t.is_meta)


def _tensors(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _writes(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _sum(tensor: Tensor) -> float:
    return float(tensor.detach().sum(dtype=torch.float64)) if tensor.is_floating_point() else 0.0
