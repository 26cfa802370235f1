"""Tokens on disk: shards mapped from memory, and a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from toposheet.errors import NotFound, UserError
from toposheet.files import write_file

FORMAT = 2
MANIFEST = "manifest.json"
TOKENIZER, TOKENIZER_FILE = "tokenizer", "tokenizer.json"
"""Where the tokenizer is, and its file that decides the tokens."""
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Shard:
    """A file of tokens, little-endian and nothing else, in the order of the text.

    Args:
        split: `train` or `validation`.
        file: Its name.
        documents: How many documents end in it.
        tokens: How many tokens it has, one at the end of each document.
        sha256: Of its bytes.
    """

    split: str
    file: str
    documents: int
    tokens: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What the prepared text of a folder is; written last, so its presence says that the text is complete.

    Args:
        preparation: How it was asked for: sources, tokenizer, seed and so on.
        corpora: A card for each corpus: name, genre, package, licence, source.
        files: How many files the text was read from.
        bytes: Their size.
        empty_records: How many records had no text, and were left out.
        tokenizer: SHA-256 of the tokenizer.
        vocabulary: Number of its tokens.
        dtype: How a token is stored: uint16, or uint32 for large vocabularies.
        shards: The files, in the order of the text.
    """

    preparation: dict[str, Any]
    corpora: list[dict[str, str]]
    files: int
    bytes: int
    empty_records: int
    tokenizer: str
    vocabulary: int
    dtype: str
    shards: tuple[Shard, ...]

    @property
    def checksum(self) -> str:
        """One SHA-256 of the whole text: of the checksums of its shards, and of its tokenizer."""
        parts = [self.tokenizer, *(f"{shard.split} {shard.sha256}" for shard in self.shards)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def documents(self, split: str) -> int:
        """Return how many documents a split has."""
        return sum(shard.documents for shard in self.of(split))

    def tokens(self, split: str) -> int:
        """Return how many tokens a split has."""
        return sum(shard.tokens for shard in self.of(split))

    def of(self, split: str) -> Iterator[Shard]:
        """Yield the shards of a split."""
        return (shard for shard in self.shards if shard.split == split)

    def save(self, folder: Path) -> None:
        """Write `manifest.json`."""
        write_file(folder / MANIFEST, json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Return the manifest of a folder as it stands there (`read_manifest` also checks the files).

        Raises:
            NotFound: the folder holds no finished text.
            UserError: the manifest is damaged, or of another version.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise NotFound(
                f"{folder} holds no prepared text (no {MANIFEST}): prepare it first, with toposheet data prepare"
            )
        try:
            stored = json.loads(path.read_text())
            version = stored.pop("format", 1)
            if version == FORMAT:
                return cls(**stored | {"shards": tuple(Shard(**shard) for shard in stored["shards"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path} is damaged: {error}") from None
        raise UserError(
            f"{path} has format {version}, this version reads {FORMAT}: remove the folder and prepare the text again"
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of prepared text, whose shards are all there and as it describes them.

    Raises:
        NotFound: the folder holds no finished text.
        UserError: the manifest is damaged, or a shard is not the one that it describes; the message names the file.
    """
    manifest = Manifest.load(folder)
    again = "remove the folder and prepare the text again"
    itemsize = np.dtype(manifest.dtype).itemsize
    for shard in manifest.shards:  # quick, so it comes before the checksums
        path = folder / shard.file
        if not path.is_file():
            raise UserError(f"{folder} lacks {shard.file}: {again}")
        if path.stat().st_size != shard.tokens * itemsize:
            size = path.stat().st_size
            raise UserError(f"{path} is damaged ({size} bytes, not {shard.tokens * itemsize}): {again}")
    with ThreadPoolExecutor() as threads:
        checksums = threads.map(_checksum, [folder / shard.file for shard in manifest.shards])
        for shard, checksum in zip(manifest.shards, checksums, strict=True):
            if checksum != shard.sha256:
                raise UserError(f"{folder / shard.file} is damaged (its SHA-256 is not the manifest's): {again}")
    return manifest


class Tokens:
    """The tokens of a split, mapped from disk, as if its shards were one array.

    Args:
        folder: A folder of prepared text.
        manifest: Its manifest.
        split: `train` or `validation`.
    """

    def __init__(self, folder: Path, manifest: Manifest, split: str) -> None:
        dtype = np.dtype(manifest.dtype).newbyteorder("<")
        self._shards = [np.memmap(folder / shard.file, dtype, mode="r") for shard in manifest.of(split)]
        self._ends = np.cumsum([len(shard) for shard in self._shards], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def first(self, count: int) -> Int[np.ndarray, " tokens"]:
        """Return the first `count` tokens, or all there are if they are fewer."""
        parts, left = [np.empty(0, dtype=np.int64)], count
        for shard in self._shards:
            parts.append(shard[:left].astype(np.int64))
            left -= len(parts[-1])
        return np.concatenate(parts)

    def blocks(self, starts: Int[np.ndarray, " blocks"], context: int) -> Int[np.ndarray, "blocks context_and_next"]:
        """Return blocks of context + 1 tokens: inputs and, one step on, what is to be predicted.

        Args:
            starts: Where each block starts; context + 1 tokens must follow, in whichever shards.
            context: Number of inputs.
        """
        blocks = np.empty((len(starts), context + 1), dtype=np.int64)
        for block, start in zip(blocks, starts, strict=True):
            filled = 0
            while filled <= context:
                shard = np.searchsorted(self._ends, start + filled, side="right")
                tokens = self._shards[shard]
                first = start + filled - (self._ends[shard] - len(tokens))
                part = tokens[first : first + context + 1 - filled]
                block[filled : filled + len(part)] = part
                filled += len(part)
        return blocks


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
