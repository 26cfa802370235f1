"""Tokens on disk: memory-mapped arrays and a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt16
from transformers import PreTrainedTokenizerFast

from toposheet.files import write_file
from toposheet.text.tokenizer import end_of_text

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Manifest:
    """What the token files of a folder are.

    Args:
        tokenizer: SHA-256 of the tokenizer that made them.
        vocabulary: Its number of tokens.
        documents: For each split, how many documents it has.
        tokens: For each split, how many tokens.
        checksums: For each split, the SHA-256 of its file.
    """

    tokenizer: str
    vocabulary: int
    documents: dict[str, int]
    tokens: dict[str, int]
    checksums: dict[str, str]

    @property
    def checksum(self):
        return self.checksums["train"]

    @property
    def corpora(self):
        return []


def tokenizer_hash(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return the SHA-256 of a tokenizer's merges and vocabulary."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def write_tokens(folder: Path, split: str, documents: list[str], tokenizer: PreTrainedTokenizerFast) -> int:
    """Write the tokens of documents, each closed by the end-of-text token, and return how many there are."""
    end = end_of_text(tokenizer)
    pieces: list[np.ndarray] = []
    for encoding in tokenizer.backend_tokenizer.encode_batch_fast(documents, add_special_tokens=False):
        pieces.append(np.asarray([*encoding.ids, end], dtype=np.uint16))
    tokens = np.concatenate(pieces)
    with (folder / f"{split}.npy").open("wb") as file:
        np.save(file, tokens)
    return len(tokens)


def write_manifest(
    folder: Path, tokenizer: PreTrainedTokenizerFast, documents: dict[str, int], tokens: dict[str, int]
) -> Manifest:
    """Describe the token files of a folder in `manifest.json`; its presence says that they are complete."""
    manifest = Manifest(
        tokenizer=tokenizer_hash(tokenizer),
        vocabulary=len(tokenizer),
        documents=documents,
        tokens=tokens,
        checksums={split: _checksum(folder / f"{split}.npy") for split in SPLITS},
    )
    write_file(folder / "manifest.json", json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of tokens.

    Raises:
        FileNotFoundError: the folder holds no finished tokens.
        ValueError: the manifest is damaged, or a token file is not the one that it describes.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no prepared text (no manifest.json): prepare it first")
    try:
        manifest = Manifest(**json.loads(path.read_text()))
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    for split in SPLITS:
        if not (folder / f"{split}.npy").is_file():
            raise ValueError(f"{folder} lacks {split}.npy: remove the folder and prepare the text again")
        if _checksum(folder / f"{split}.npy") != manifest.checksums[split]:
            raise ValueError(f"{folder / f'{split}.npy'} is damaged: remove the folder and prepare the text again")
    return manifest


def read_tokens(folder: Path, split: str) -> UInt16[np.ndarray, " tokens"]:
    """Return the tokens of a split, mapped from disk."""
    return np.load(folder / f"{split}.npy", mmap_mode="r")


def block_order(n_tokens: int, context: int, seed: int, epoch: int) -> Int[np.ndarray, " blocks"]:
    """Return where the blocks of context + 1 tokens start, in the shuffled order of one pass over the text."""
    n_blocks = (n_tokens - 1) // context
    return np.random.default_rng([seed, epoch]).permutation(n_blocks) * context


def blocks(
    tokens: UInt16[np.ndarray, " tokens"], starts: Int[np.ndarray, " blocks"], context: int
) -> Int[np.ndarray, "blocks context_and_next"]:
    """Return blocks of context + 1 tokens: inputs and, one step on, what is to be predicted."""
    return tokens[starts[:, None] + np.arange(context + 1)].astype(np.int64)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
