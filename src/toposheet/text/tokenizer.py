"""Tokenizers: GPT-2's byte-level BPE or any other of Hugging Face's, given or trained on the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from toposheet.errors import NotFound, UserError, first_line
from toposheet.files import path_of
from toposheet.hub import may_be_on_hub, snapshot
from toposheet.text.documents import END_OF_TEXT
from toposheet.text.shards import TOKENIZER, TOKENIZER_FILE, Manifest

# The files of a byte-level BPE that carries no description: Hugging Face's names, OpenAI's names.
_BARE = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_DESCRIBED = (TOKENIZER_FILE, "tokenizer_config.json", "config.json")


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of the GPT-2 kind, trained on documents.

    Args:
        documents: The text to learn merges from.
        vocabulary: Number of tokens, the end-of-text token included.

    Raises:
        UserError: the text is too small for so large a vocabulary.
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
            f"the text yields {tokenizer.get_vocab_size()} tokens, fewer than the vocabulary of {vocabulary}: "
            "use more text or a smaller vocabulary"
        )
    return _ending_documents(tokenizer)


def load_tokenizer(source: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer that can end a document.

    Args:
        source: A folder, in Hugging Face's format or with GPT-2's two files (`encoder.json`, `vocab.bpe`), or an id
            of the hub.

    Raises:
        NotFound: there is no such folder, and the hub does not give it.
        UserError: the folder holds no tokenizer of the kind that is needed.
    """
    folder = path_of(source)
    if not folder.is_dir():
        if not may_be_on_hub(source, bare=True):
            raise NotFound(f"{source} is not a folder: give that of a tokenizer, or a hub id such as gpt2")
        folder = snapshot(source, ["tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "config.json"])
    if not any((folder / name).is_file() for name in _DESCRIBED):
        for names in _BARE:
            vocabulary, merges = (str(folder / name) for name in names)
            if Path(vocabulary).is_file() and Path(merges).is_file():
                return _ending_documents(_byte_level(models.BPE.from_file(vocabulary, merges)))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise UserError(f"{source} holds no tokenizer that can be read: {first_line(error)}") from None
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"{source} holds a tokenizer without {TOKENIZER_FILE} (a slow one): save it as a fast one first"
        )
    end_of_text(tokenizer)
    return tokenizer


def end_of_text(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the token that stands between documents.

    Raises:
        UserError: the tokenizer has none.
    """
    token = tokenizer.eos_token_id
    if token is None:
        raise UserError(
            f"the tokenizer {tokenizer.name_or_path} has no end-of-sequence token to end a document with: "
            "give it one (eos_token) and save it"
        )
    assert isinstance(token, int)
    return token


def read_tokenizer(text: Path, manifest: Manifest) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a folder of prepared text, the one that its manifest names.

    Raises:
        UserError: it is missing, or not the one that made the tokens.
    """
    try:
        checksum = tokenizer_hash(text / TOKENIZER)
    except OSError as error:
        raise UserError(f"{text} has no tokenizer that can be read: {error}") from None
    if checksum != manifest.tokenizer:
        raise UserError(f"the tokenizer in {text} is not the one that made its tokens: prepare the text again")
    return load_tokenizer(str(text / TOKENIZER))


def tokenizer_hash(folder: Path) -> str:
    """Return the SHA-256 of a saved tokenizer: its merges, vocabulary and rules."""
    return hashlib.sha256((folder / TOKENIZER_FILE).read_bytes()).hexdigest()


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _ending_documents(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise UserError(f"the vocabulary has no token {END_OF_TEXT}, which ends a document")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )
