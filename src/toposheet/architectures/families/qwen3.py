"""Qwen3: RMSNorm, rotary positions, normed queries and keys, a gated MLP (arXiv:2505.09388)."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, Sizes
from toposheet.errors import UserError


def build(sizes: Sizes, end_of_text: int) -> Any:
    """Return an untrained Qwen3 with tied embeddings, and with as many key heads and value heads as query heads.

    Args:
        sizes: The sizes of the model.
        end_of_text: Id of the token between documents.
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
    """Refuse heads with an odd number of units.

    Raises:
        UserError: A head has an odd number of units. Rotary positions need pairs of units.
    """
    if sizes.width // sizes.heads % 2:
        raise UserError(
            f"width {sizes.width} with {sizes.heads} heads gives heads of {sizes.width // sizes.heads} units: the "
            "number must be even, because rotary positions rotate pairs of units"
        )


FAMILY = Architecture(build=build, check=check)
