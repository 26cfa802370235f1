"""Prepared text on disk: shards (files of tokens, read by memory mapping) and a manifest that describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from toposheet.errors import NotFound, UserError
from toposheet.files import write_file

FORMAT = 2
MANIFEST = "manifest.json"
TOKENIZER, TOKENIZER_FILE = "tokenizer", "tokenizer.json"
"""The folder of the tokenizer, and the file in it that defines the tokens."""
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Shard:
    """A file of tokens in the order of the text. It holds little-endian integers and no header.

    Args:
        split: `train` or `validation`.
        file: Name of the file.
        documents: Number of documents that end in the file.
        tokens: Number of tokens, with one end-of-text token for each document.
        sha256: SHA-256 of the file.
    """

    split: str
    file: str
    documents: int
    tokens: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The description of a folder of prepared text. It is written last: a folder with a manifest is complete.

    Args:
        preparation: The request: sources, tokenizer, seed and so on.
        corpora: A description of each corpus: name, genre, package, licence, source.
        files: Number of files from which the text was read.
        bytes: Total size of these files, in bytes.
        empty_records: Number of records without text. They were left out.
        tokenizer: SHA-256 of the tokenizer.
        vocabulary: Number of different tokens.
        dtype: The integer type of a stored token: uint16, or uint32 for large vocabularies.
        shards: The shards, in the order of the text.
        read: The paths of the files that the text was read from.
        left_out: The reason for each path that was not read.
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
    read: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def split(self) -> dict[str, Any]:
        """What decided which documents are held out (`split.is_held_out`): `validation_fraction` and `seed`."""
        return {name: self.preparation[name] for name in ("validation_fraction", "seed")}

    @property
    def checksum(self) -> str:
        """SHA-256 of the whole prepared text, computed from the checksums of its shards and its tokenizer."""
        parts = [self.tokenizer, *(f"{shard.split} {shard.sha256}" for shard in self.shards)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def documents(self, split: str) -> int:
        """Return the number of documents in a split (`train` or `validation`)."""
        return sum(shard.documents for shard in self.of(split))

    def tokens(self, split: str) -> int:
        """Return the number of tokens in a split (`train` or `validation`)."""
        return sum(shard.tokens for shard in self.of(split))

    def of(self, split: str) -> Iterator[Shard]:
        """Yield the shards of a split (`train` or `validation`), in the order of the text."""
        return (shard for shard in self.shards if shard.split == split)

    def save(self, folder: Path) -> None:
        """Write `manifest.json`."""
        write_file(folder / MANIFEST, json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Return the manifest of a folder, without a check of its shards (`read_manifest` checks them).

        Raises:
            NotFound: The folder holds no finished text.
            UserError: The manifest is damaged, or another version of toposheet wrote it in another format.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise NotFound(
                f"{folder} holds no prepared text (no {MANIFEST}): prepare the text first, with toposheet data prepare"
            )
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            version = stored.pop("format", 1)
            if version == FORMAT:
                return cls(**stored | {"shards": tuple(Shard(**shard) for shard in stored["shards"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path} is damaged: {error}") from None
        raise UserError(
            f"{path} has format {version}, but this version of toposheet reads {FORMAT}: remove the folder and prepare "
            "the text again"
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of prepared text, after a check of every shard (size and SHA-256).

    Raises:
        NotFound: The folder holds no finished text.
        UserError: The manifest is damaged, or a shard is missing or damaged. The message names the file.
    """
    manifest = Manifest.load(folder)
    again = "remove the folder and prepare the text again"
    itemsize = np.dtype(manifest.dtype).itemsize
    for shard in manifest.shards:  # the sizes are checked first, because the checksums take longer
        path = folder / shard.file
        if not path.is_file():
            raise UserError(f"{folder} lacks the file {shard.file}: {again}")
        if path.stat().st_size != shard.tokens * itemsize:
            size = path.stat().st_size
            raise UserError(f"{path} is damaged ({size} bytes, not {shard.tokens * itemsize}): {again}")
    with ThreadPoolExecutor() as threads:
        checksums = threads.map(_checksum, [folder / shard.file for shard in manifest.shards])
        for shard, checksum in zip(manifest.shards, checksums, strict=True):
            if checksum != shard.sha256:
                raise UserError(f"{folder / shard.file} is damaged (its SHA-256 differs from the manifest): {again}")
    return manifest


class Tokens:
    """The tokens of a split as one array, although several shards hold them. They are memory-mapped from disk.

    Args:
        folder: A folder of prepared text.
        manifest: The manifest of the folder.
        split: `train` or `validation`.
    """

    def __init__(self, folder: Path, manifest: Manifest, split: str) -> None:
        dtype = np.dtype(manifest.dtype).newbyteorder("<")
        self._shards = [np.memmap(folder / shard.file, dtype, mode="r") for shard in manifest.of(split)]
        self._ends = np.cumsum([len(shard) for shard in self._shards], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def first(self, count: int) -> Int[np.ndarray, " tokens"]:
        """Return the first `count` tokens, or all tokens if there are fewer."""
        parts, left = [np.empty(0, dtype=np.int64)], count
        for shard in self._shards:
            parts.append(shard[:left].astype(np.int64))
            left -= len(parts[-1])
        return np.concatenate(parts)

    def blocks(self, starts: Int[np.ndarray, " blocks"], context: int) -> Int[np.ndarray, "blocks context_and_next"]:
        """Return blocks of context + 1 tokens. A block may lie in several shards.

        Args:
            starts: Position of the first token of each block in the split. At least context + 1 tokens must follow.
            context: Number of tokens that a model reads in one block.
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
