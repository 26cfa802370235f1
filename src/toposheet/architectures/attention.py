"""Attention over blocks of text, which have no padding.

`transformers` models can use it in place of their attention function.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from toposheet.architectures import architecture_of

BLOCK_ATTENTION = "toposheet_blocks"
_ALIGNMENT = 8  # on GPUs, fused attention needs heads whose size is a multiple of this number


def attend_within_blocks(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float | None = None,
    dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Return causal attention over blocks of text without padding, and None instead of the attention weights.

    The arguments are the arguments with which `transformers` calls an attention function. Pass no mask: blocks have no
    padding, and a mask would stop `torch.compile` from using fused attention. Several query heads can share one key
    head and one value head.
    On a GPU, fused attention does not accept every head size; it does not accept the size 49 of TopoLM. Such heads are
    padded with zeros, which does not change the result.
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
    """Return the name of the attention that a model should use over blocks of text.

    Most models should use `BLOCK_ATTENTION`. A model keeps the attention that it has now in three cases: its attention
    is not plain causal attention (`Architecture.plain`); its heads have attention sinks, which are learned scores to
    which no token belongs (GPT-OSS); or `transformers` cannot exchange its attention, for example because the attention
    has position biases (Bloom, MPT).

    Args:
        model: The model.
        context: Number of tokens in a block of text.
    """
    exchangeable = getattr(model, "_supports_attention_backend", False)
    has_sinks = any(name.endswith(".sinks") for name, _ in model.named_parameters())
    if exchangeable and not has_sinks and architecture_of(model).plain(model.config, context):
        return BLOCK_ATTENTION
    return default_attention(model)


def default_attention(model: PreTrainedModel) -> str:
    """Return the name of the present attention of a model."""
    name = model.config._attn_implementation
    assert isinstance(name, str)
    return name


@contextmanager
def attention(model: PreTrainedModel, implementation: str) -> Generator[None, None, None]:
    """Let a model use another attention, given by its name, inside this context."""
    before = default_attention(model)
    if implementation != before:
        model.set_attn_implementation(implementation)
    try:
        yield
    finally:
        if implementation != before:
            model.set_attn_implementation(before)
