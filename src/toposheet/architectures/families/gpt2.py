"""GPT-2, as TopoLM has it where a recipe builds it."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, Sizes


def build(sizes: Sizes, end_of_text: int) -> Any:
    """Return the untrained model of TopoLM (arXiv:2410.11516).

    Exact GELU, tied embeddings, learned positions, no dropout, and no biases: those of GPT-2 are held at zero.

    Args:
        sizes: How large it is.
        end_of_text: Id of the token that stands between documents.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=sizes.vocabulary,
            n_positions=sizes.context,
            n_embd=sizes.width,
            n_layer=sizes.layers,
            n_head=sizes.heads,
            n_inner=sizes.mlp_width,
            activation_function="gelu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=end_of_text,
            eos_token_id=end_of_text,
        )
    )
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.data.zero_()
            parameter.requires_grad_(False)
    return model


FAMILY = Architecture(build=build)
