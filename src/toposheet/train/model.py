"""The model of a recipe: an ordinary `transformers` model, and what training asks of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from toposheet.recipes import Recipe

BLOCK_ATTENTION = "toposheet_blocks"
_LOGITS = 2**27  # half a gigabyte in float32: more are not held at once; fewer are quicker at once
_ALIGNMENT = 8  # fused attention on GPUs wants heads of a multiple of this size


def build_model(recipe: Recipe, end_of_text: int, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Return the untrained model of a recipe; equal seeds give equal weights.

    `gpt2` is the model of TopoLM (arXiv:2410.11516): exact GELU, tied embeddings, learned positions, no dropout, and
    no biases: those of GPT-2 are held at zero. `qwen3` has RMSNorm, rotary positions, normed queries and keys and a
    gated MLP (arXiv:2505.09388); its embeddings are tied too.

    Args:
        recipe: Sizes and seed.
        end_of_text: Id of the token that stands between documents.
        device: Where it is built; on `"meta"` it has shapes and no weights.
    """
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(recipe.seed)
        model = GPT2LMHeadModel(_gpt2(recipe, end_of_text)) if recipe.architecture == "gpt2" else (
            Qwen3ForCausalLM(_qwen3(recipe, end_of_text)))  # fmt: skip
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.data.zero_()
            parameter.requires_grad_(False)
    return model


def _gpt2(recipe: Recipe, end_of_text: int) -> GPT2Config:
    return GPT2Config(
        vocab_size=recipe.vocabulary,
        n_positions=recipe.context,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        n_inner=recipe.mlp_width,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
    )


def _qwen3(recipe: Recipe, end_of_text: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=recipe.vocabulary,
        max_position_embeddings=recipe.context,
        hidden_size=recipe.width,
        intermediate_size=recipe.mlp_width or 4 * recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.width // recipe.heads,
        tie_word_embeddings=True,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
    )


class NextToken(nn.Module):
    """A language model with its task: next-token cross-entropy of whole blocks of text.

    Where they are many, the logits of all tokens are never held in float32: output layer and loss go through them in
    chunks. Blocks have no padding, so attention is plainly causal, which fused kernels know.

    Args:
        model: The language model; it is changed to plainly causal attention while a block goes through it.
        precision: `"fp32"`, or `"bf16"` for autocast, with weights in float32.
    """

    def __init__(self, model: PreTrainedModel, precision: str) -> None:
        super().__init__()
        self.model = model
        self.bf16 = precision == "bf16"

    def forward(self, blocks: Int[Tensor, "batch time_and_next"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy (nats a token) of predicting each token of the blocks from those before."""
        device = blocks.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.bf16):
            hidden = self.model.base_model(input_ids=blocks[:, :-1], use_cache=False).last_hidden_state
        output: Any = self.model.get_output_embeddings()
        weight = output.weight
        hidden, target = hidden.flatten(0, 1), blocks[:, 1:].flatten()
        if self.bf16:
            hidden, weight = hidden.bfloat16(), weight.bfloat16()
        with torch.autocast(device, enabled=False):
            return _cross_entropies(hidden, weight, target).float().mean()


def _cross_entropies(
    hidden: Float[Tensor, "tokens width"], weight: Float[Tensor, "vocab width"], target: Int[Tensor, " tokens"]
) -> Float[Tensor, " tokens"]:
    """Return -log p(target) of each token; each for itself, as a mean in bfloat16 would be rounded to three digits."""
    if len(hidden) * len(weight) <= _LOGITS or not hasattr(functional, "linear_cross_entropy"):  # torch before 2.13
        return functional.cross_entropy(functional.linear(hidden, weight).float(), target, reduction="none")
    options = nn.LinearCrossEntropyOptions()
    return functional.linear_cross_entropy(hidden, weight, target, reduction="none", options=options)


def attend_within_blocks(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Return causal attention over blocks without padding, in the form that `transformers` asks of its attention.

    It needs no mask, which under `torch.compile` would be built and would rule out fused attention. On a GPU, heads of
    a size that fused attention does not take (49 in TopoLM) are padded with zeros, which changes no dot product.
    """
    assert attention_mask is None, "blocks of text have no padding"
    size = query.shape[-1]
    if query.is_cuda and size % _ALIGNMENT:
        query, key, value = (functional.pad(x, (0, -size % _ALIGNMENT)) for x in (query, key, value))
    scale = size**-0.5 if scaling is None else scaling
    attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    return attended[..., :size].transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCK_ATTENTION, attend_within_blocks)


@contextmanager
def attention(model: PreTrainedModel, implementation: str) -> Generator[None, None, None]:
    """Let a model attend in another way for a while."""
    before: Any = model.config._attn_implementation
    model.set_attn_implementation(implementation)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
