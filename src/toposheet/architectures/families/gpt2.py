"""GPT-2. Recipes build it with the changes of TopoLM."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, Projections, Sizes


def build(sizes: Sizes, end_of_text: int) -> Any:
    """Return the untrained model of TopoLM (arXiv:2410.11516).

    It has exact GELU, tied embeddings, learned positions and no dropout. It has no biases: the biases of GPT-2 are zero
    and are not trained.

    Args:
        sizes: The sizes of the model.
        end_of_text: Id of the token between documents.
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
    hold_biases_at_zero(model)
    return model


def hold_biases_at_zero(model: Any) -> None:
    """Set the biases of a GPT-2 to zero and freeze them, so that it computes what a model without biases computes."""
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.data.zero_()
            parameter.requires_grad_(False)


def projections(attention: Any) -> Projections:
    """Return the layer `c_attn`, which computes queries, keys and values, and the layer `c_proj`."""
    return Projections(queries=attention.c_attn, output=attention.c_proj)


FAMILY = Architecture(build=build, projections=projections)
