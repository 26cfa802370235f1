"""The tokenizer of an imported model."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from toposheet.errors import NotFound, UserError
from toposheet.text.tokenizer import load_tokenizer

GPT2 = "gpt2"
"""The hub id of the tokenizer with which nanoGPT and TopoLM were trained."""

_MOST_PADDING = 1024
"""Vocabularies are padded to a multiple of 64 or 128, at most of 1,024, because GPUs compute such sizes faster."""


def fitting_tokenizer(source: str | Path, vocabulary: int, model: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of an imported model.

    Args:
        source: A folder, a hub id, or a shipped model with a tokenizer.
        vocabulary: Number of token ids that the model reads.
        model: The checkpoint, for messages.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached or has no such tokenizer.
        UserError: The tokenizer cannot be read, or it has more tokens than the model, or far fewer.
    """
    try:
        tokenizer = load_tokenizer(str(source))
    except NotFound as error:
        raise NotFound(f"{error} (--tokenizer PATH, in Python tokenizer=PATH)") from None
    n_tokens = max(tokenizer.get_vocab().values()) + 1
    if not 0 <= vocabulary - n_tokens < _MOST_PADDING:
        raise UserError(
            f"the tokenizer {source} has {n_tokens:,} tokens, and the model in {model} has {vocabulary:,}: give the "
            "tokenizer with which the model was trained (--tokenizer PATH)"
        )
    return tokenizer
