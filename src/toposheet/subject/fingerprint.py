"""The fingerprint of a subject. Two subjects with equal fingerprints respond alike to every text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from transformers import PreTrainedModel

from toposheet.subject.interventions import Intervention
from toposheet.subject.tokens import tokenizer_digest
from toposheet.topography import Topography

_IGNORED_IN_CONFIG = ("_name_or_path", "transformers_version", "torch_dtype", "dtype")
_WORDS_PER_ROW = 1024  # number of 8-byte words in a row of a checksum


def fingerprint(
    model: PreTrainedModel, topography: Topography, tokenizer: Any, interventions: Sequence[Intervention]
) -> str:
    """Return the SHA-256 hash of a model, its topography, tokenizer and interventions, in 64 hexadecimal digits.

    Args:
        model: The model. The data type of its weights changes the hash. Its device and its mode (training or
            evaluation) do not change it.
        topography: The places of its units, and the bases of its taps.
        tokenizer: Its tokenizer, or None.
        interventions: The interventions on its units, in order.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    config = {name: value for name, value in model.config.to_dict().items() if name not in _IGNORED_IN_CONFIG}
    config["architectures"] = [type(model).__name__]  # a model that was never saved has none; saving sets it
    digest.update(repr(sorted(config.items(), key=lambda item: item[0])).encode())
    _add_tensors(digest, {**model.state_dict(), **dict(model.named_buffers())})
    digest.update(digest_besides_model(topography, tokenizer, interventions))
    return digest.hexdigest()


def fingerprint_of_weights(model: PreTrainedModel) -> str:
    """Return the SHA-256 hash of the class and of the stored weights of a model, in 64 hexadecimal digits.

    A folder of low-rank changes holds this hash of its base model, so it must be equal on every machine. It therefore
    covers neither the configuration, whose entries change with the version of `transformers`, nor tensors that are
    computed when a model is opened, whose last digits change with the processor.

    Args:
        model: The model. The data type of its weights changes the hash. Its device does not change it.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    _add_tensors(digest, model.state_dict())
    return digest.hexdigest()


def _add_tensors(digest: Any, state: Mapping[str, Any]) -> None:
    """Add the names, data types, shapes and contents of the tensors of a state dict to a hash."""
    for name, value in sorted(state.items()):
        for tensor in _tensors_in(value):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(_as_bytes(tensor).cpu().numpy().data)


def digest_besides_model(topography: Topography, tokenizer: Any, interventions: Sequence[Intervention]) -> bytes:
    """Return a hash of topography, tokenizer and interventions. It takes much less time than a hash of all weights."""
    digest = hashlib.sha256()
    for name, sheet in topography.sheets.items():
        digest.update(f"{name} {sheet.shape} {sheet.spacing_mm}".encode())
        for tap, places in sheet.places.items():
            digest.update(tap.encode() + np.ascontiguousarray(places, dtype=np.int64).tobytes())
        if sheet.windows is not None:
            digest.update(b"windows" + np.ascontiguousarray(sheet.windows, dtype=np.int64).tobytes())
    for tap, of_basis in sorted(topography.digests_of_bases.items()):
        digest.update(f"basis of {tap}".encode() + of_basis)
    for intervention in interventions:
        digest.update(intervention.digest())
    if tokenizer is not None:
        digest.update(tokenizer_digest(tokenizer))
    return digest.digest()


def versions(model: nn.Module) -> tuple[Any, ...]:
    """Return a value that changes whenever a parameter or a buffer of a model is replaced or changed.

    Torch counts the changes of a tensor, but it does not count changes through `.data`. Therefore checksums of the
    values are computed too. They are computed on the device of the tensor, and take much less time than a hash of all
    weights.
    """
    return tuple(
        (name, t.data_ptr(), t.dtype, _number_of_changes(t), _checksums(t))
        for name, value in (*model.named_parameters(), *model.named_buffers())
        for t in _tensors_in(value)
        if not t.is_meta
    )


def _tensors_in(value: Any) -> Iterable[Tensor]:
    """Yield the tensors with numbers in an entry of the state of a model.

    Layers that torch quantised have tuples of tensors. A weight that torchao quantised is one tensor made of others.
    """
    if isinstance(value, tuple):
        for part in value:
            yield from _tensors_in(part)
    elif isinstance(value, Tensor) and is_traceable_wrapper_subclass(value):
        names, _ = value.__tensor_flatten__()  # pyright: ignore[reportAttributeAccessIssue]
        for name in names:
            yield from _tensors_in(getattr(value, name))
    elif isinstance(value, Tensor):
        yield value.dequantize() if value.is_quantized else value


def _number_of_changes(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _checksums(tensor: Tensor) -> tuple[int, int, bytes]:
    """Return two weighted sums of the content of a tensor, and the bytes that do not fill a whole row.

    The content is arranged in rows of 8-byte integers. The weights of one sum depend on the row, the weights of the
    other sum depend on the column. The sums are exact integers: if one bit changes, or if two values change places, a
    sum changes.
    """
    content = _as_bytes(tensor)
    if content.storage_offset() % 8:
        content = content.clone()
    n_words = len(content) // (8 * _WORDS_PER_ROW) * _WORDS_PER_ROW
    rows = content[: 8 * n_words].view(torch.int64).view(-1, _WORDS_PER_ROW)
    by_row, by_column = (int((s * _odd_numbers(s)).sum()) for s in (rows.sum(dim=1), rows.sum(dim=0)))
    return by_row, by_column, bytes(content[8 * n_words :].cpu().numpy())


def _odd_numbers(like: Tensor) -> Tensor:
    return 2 * torch.arange(len(like), device=like.device) + 1


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
