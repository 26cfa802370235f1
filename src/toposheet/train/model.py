"""The model of a recipe: an ordinary `transformers` GPT-2."""

from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from toposheet.recipes import Recipe


def build_model(recipe: Recipe, end_of_text: int) -> GPT2LMHeadModel:
    """Return the untrained model of a recipe; equal seeds give equal weights.

    As in TopoLM (arXiv:2410.11516) it has exact GELU, tied embeddings, learned positions, no dropout, and no
    biases: GPT-2's are held at zero.

    Args:
        recipe: Sizes and seed.
        end_of_text: Id of the token that stands between documents.
    """
    config = GPT2Config(
        vocab_size=recipe.vocabulary,
        n_positions=recipe.context,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.data.zero_()
            parameter.requires_grad_(False)
    return model
