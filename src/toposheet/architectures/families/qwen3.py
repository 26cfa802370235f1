"""Qwen3: RMSNorm, rotary positions, normed queries and keys, a gated MLP (arXiv:2505.09388)."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, Sizes
from toposheet.errors import UserError


def build(sizes: Sizes, end_of_text: int) -> Any:
    """Return an untrained Qwen3 with tied embeddings, in which every query head has key and value heads of its own.

    Args:
        sizes: How large it is.
        end_of_text: Id of the token that stands between documents.
    """
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=sizes.vocabulary,
            max_position_embeddings=sizes.context,
            hidden_size=sizes.width,
            intermediate_size=sizes.mlp_width or 4 * sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.heads,
            head_dim=sizes.width // sizes.heads,
            tie_word_embeddings=True,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
        )
    )


def check(sizes: Sizes) -> None:
    """Refuse heads of an odd size.

    Raises:
        UserError: rotary positions turn pairs of units.
    """
    if sizes.width // sizes.heads % 2:
        raise UserError(
            f"width {sizes.width} in {sizes.heads} heads makes heads of {sizes.width // sizes.heads}: rotary positions "
            "turn pairs of units, so their size must be even"
        )


FAMILY = Architecture(build=build, check=check)
