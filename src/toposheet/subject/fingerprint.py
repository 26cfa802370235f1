"""What a subject is, in 64 letters: two subjects with the same fingerprint respond alike to every text."""

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
_ROW = 1024  # words of 8 bytes in a row of a checksum


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
    for name, weights in sorted({**model.state_dict(), **dict(model.named_buffers())}.items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(_bytes(weights).cpu().numpy().data)
    digest.update(digest_besides_model(topography, tokenizer, interventions))
    return digest.hexdigest()


def digest_besides_model(topography: Topography, tokenizer: Any, interventions: Sequence[Intervention]) -> bytes:
    """Return a hash of places, tokenizer and interventions; it costs little next to one of all weights."""
    digest = hashlib.sha256()
    for name, sheet in topography.sheets.items():
        digest.update(f"{name} {sheet.shape} {sheet.spacing_mm}".encode())
        for tap, places in sheet.places.items():
            digest.update(tap.encode() + np.ascontiguousarray(places, dtype=np.int64).tobytes())
    for intervention in interventions:
        digest.update(intervention.digest())
    if tokenizer is not None:
        digest.update(tokenizer_digest(tokenizer))
    return digest.digest()


def versions(model: nn.Module) -> tuple[Any, ...]:
    """Return a value that changes whenever a parameter or buffer of a model is replaced or written to.

    Torch counts the writes to a tensor. It does not count those through `.data`, so checksums of the values are taken
    too, where the tensor is: next to a hash of all weights they cost little.
    """
    tensors = _tensors(model)
    return tuple((name, t.data_ptr(), t.dtype, _writes(t), _checksums(t)) for name, t in tensors if not t.is_meta)


def _tensors(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _writes(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _checksums(tensor: Tensor) -> tuple[int, int, bytes]:
    """Return two sums of the bits of a tensor, weighted by row and by column, and the bits that fill no row.

    The sums are whole numbers: one other bit, or two values that changed places, make another sum.
    """
    content = _bytes(tensor)
    if content.storage_offset() % 8:
        content = content.clone()
    n_words = len(content) // (8 * _ROW) * _ROW
    rows = content[: 8 * n_words].view(torch.int64).view(-1, _ROW)
    by_row, by_column = (int((s * _odd_numbers(s)).sum()) for s in (rows.sum(dim=1), rows.sum(dim=0)))
    return by_row, by_column, bytes(content[8 * n_words :].cpu().numpy())


def _odd_numbers(like: Tensor) -> Tensor:
    return 2 * torch.arange(len(like), device=like.device) + 1


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
