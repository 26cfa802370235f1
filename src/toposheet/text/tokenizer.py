"""Byte-level BPE, trained on the text of a run."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(documents: Iterable[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of the GPT-2 kind, trained on documents.

    Args:
        documents: The text to learn merges from.
        vocabulary: Number of tokens, the end-of-text token included.
        context: The longest text the model will read, in tokens.

    Raises:
        ValueError: the text is too small for so large a vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    if tokenizer.get_vocab_size() < vocabulary:
        raise ValueError(
            f"the text yields {tokenizer.get_vocab_size()} tokens, fewer than the vocabulary of {vocabulary}: "
            "use more text or a smaller vocabulary"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def end_of_text(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the token that stands between documents."""
    token = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    assert isinstance(token, int)
    return token
