"""Attention over blocks of text, which have no padding, in the form that `transformers` asks of its attention."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from toposheet.architectures import architecture_of

BLOCK_ATTENTION = "toposheet_blocks"
_ALIGNMENT = 8  # fused attention on GPUs wants heads of a multiple of this size


def attend_within_blocks(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float | None = None,
    dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Return causal attention over blocks without padding, in the form that `transformers` asks of its attention.

    It needs no mask, which under `torch.compile` would be built and would rule out fused attention. Where groups of
    query heads share a key and a value head, each key and value head serves its group. On a GPU, heads of a size that
    fused attention does not take (49 in TopoLM) are padded with zeros, which changes no dot product.
    """
    assert attention_mask is None, "blocks of text have no padding"
    size, width = query.shape[-1], value.shape[-1]
    if query.is_cuda and (size % _ALIGNMENT or width % _ALIGNMENT):
        query, key, value = (functional.pad(x, (0, -x.shape[-1] % _ALIGNMENT)) for x in (query, key, value))
    attended = functional.scaled_dot_product_attention(
        query, key, value,
        dropout_p=dropout,
        is_causal=True,
        scale=size**-0.5 if scaling is None else scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    return attended[..., :width].transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCK_ATTENTION, attend_within_blocks)


def block_attention(model: PreTrainedModel, context: int) -> str:
    """Return the name of the attention that a model uses over blocks of text: `BLOCK_ATTENTION`, or else its own.

    A model keeps its own attention where that is more than plainly causal (`Architecture.plain`), or where it is no
    exchangeable part of the model (the biases of Bloom and MPT).

    Args:
        model: The model.
        context: Tokens of a block.
    """
    exchangeable = getattr(model, "_supports_attention_backend", False)
    if exchangeable and architecture_of(model).plain(model.config, context):
        return BLOCK_ATTENTION
    return default_attention(model)


def default_attention(model: PreTrainedModel) -> str:
    """Return the name of the attention that a model uses now."""
    name = model.config._attn_implementation
    assert isinstance(name, str)
    return name


@contextmanager
def attention(model: PreTrainedModel, implementation: str) -> Generator[None, None, None]:
    """Let a model attend in another way for a while."""
    before = default_attention(model)
    if implementation != before:
        model.set_attn_implementation(implementation)
    try:
        yield
    finally:
        if implementation != before:
            model.set_attn_implementation(before)
