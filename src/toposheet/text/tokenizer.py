"""Tokenizers: train a byte-level BPE as in GPT-2, or load any fast tokenizer of Hugging Face."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from toposheet.errors import NotFound, UserError, first_line
from toposheet.hub import may_be_on_hub, snapshot
from toposheet.model_folders import existing_folder
from toposheet.text.documents import END_OF_TEXT
from toposheet.text.shards import TOKENIZER, TOKENIZER_FILE, Manifest

# The two files of a byte-level BPE without a configuration file: names of Hugging Face, names of OpenAI.
_BARE = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_DESCRIBED = (TOKENIZER_FILE, "tokenizer_config.json", "config.json")


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer as in GPT-2, trained on documents.

    Args:
        documents: The texts on which the tokenizer is trained.
        vocabulary: Number of different tokens, including the end-of-text token.

    Raises:
        UserError: The text is too short for this vocabulary.
    """
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    if tokenizer.get_vocab_size() < vocabulary:
        raise UserError(
            f"the text is too short for a vocabulary of {vocabulary} tokens (it gives {tokenizer.get_vocab_size()}): "
            "use more text or a smaller vocabulary"
        )
    return _ending_documents(tokenizer)


def load_tokenizer(source: str) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a folder or of the hub. It has a token that ends a document.

    Args:
        source: A hub id, a folder, or a model with a tokenizer (a shipped one, a GGUF file). The folder has the format
            of Hugging Face, or it holds the two files of GPT-2 (`encoder.json`, `vocab.bpe`).

    Raises:
        NotFound: The folder does not exist, and the hub has no such tokenizer or cannot be reached.
        UserError: The folder holds no fast tokenizer, or its tokenizer has no end-of-sequence token.
    """
    folder = existing_folder(source)
    if folder is None:
        if not may_be_on_hub(source, bare=True):
            raise NotFound(f"{source} is not a folder: give the folder of a tokenizer, or a hub id such as gpt2")
        folder = snapshot(source, ["tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "config.json"])
    if not any((folder / name).is_file() for name in _DESCRIBED):
        for names in _BARE:
            vocabulary, merges = (str(folder / name) for name in names)
            if Path(vocabulary).is_file() and Path(merges).is_file():
                return _ending_documents(_byte_level(models.BPE.from_file(vocabulary, merges)))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise UserError(
            f"the tokenizer in {source} cannot be read ({first_line(error)}): give another folder or hub id"
        ) from None
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"{source} holds a slow tokenizer (without {TOKENIZER_FILE}): save it as a fast tokenizer first"
        )
    end_of_text(tokenizer)
    return tokenizer


def end_of_text(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the token that ends a document.

    Raises:
        UserError: The tokenizer has no end-of-sequence token.
    """
    token = tokenizer.eos_token_id
    if token is None:
        raise UserError(
            f"the tokenizer {tokenizer.name_or_path} has no end-of-sequence token, which must end each "
            "document: set its eos_token and save the tokenizer"
        )
    assert isinstance(token, int)
    return token


def read_tokenizer(text: Path, manifest: Manifest) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a folder of prepared text, after a comparison with the checksum in the manifest.

    Raises:
        UserError: The tokenizer is missing, or it is not the tokenizer that made the tokens.
    """
    try:
        checksum = tokenizer_hash(text / TOKENIZER)
    except OSError as error:
        raise UserError(f"the tokenizer in {text} cannot be read ({error}): prepare the text again") from None
    if checksum != manifest.tokenizer:
        raise UserError(f"the tokenizer in {text} is not the tokenizer that made its tokens: prepare the text again")
    return load_tokenizer(str(text / TOKENIZER))


def tokenizer_hash(folder: Path) -> str:
    """Return the SHA-256 of the file that defines a saved tokenizer (vocabulary, merges and rules)."""
    return hashlib.sha256((folder / TOKENIZER_FILE).read_bytes()).hexdigest()


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _ending_documents(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise UserError(
            f"the vocabulary has no token {END_OF_TEXT}, which must end each document: use another tokenizer"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )
