"""The two steps of the datatrove pipeline: read documents, and write their tokens."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from tokenizers import Tokenizer

from toposheet.files import folder_aside, write_file
from toposheet.text.documents import FORMATS, SOURCES, Format, Source
from toposheet.text.plan import Plan, read_split, record_path
from toposheet.text.shards import SPLITS, TOKENIZER, TOKENIZER_FILE, Shard

BATCH, PENDING = 2**18, 2**18
"""Number of characters that are tokenised at once, and number of tokens that are written at once."""


class ReadDocuments(PipelineStep):
    """The first step: read the files of a task.

    Args:
        out: The output folder. It holds the plan.
        sources: Registered sources of plug-ins that the plan names. The step carries them to worker processes, which
            may not have loaded the plug-ins.
        formats: Registered file formats of plug-ins. The step carries them too.
    """

    name, type = "documents", "reader"

    def __init__(
        self, out: str, sources: Mapping[str, Source] | None = None, formats: Mapping[str, Format] | None = None
    ) -> None:
        super().__init__()
        self.out, self.sources, self.formats = out, dict(sources or {}), dict(formats or {})

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents of a task. A long document comes in pieces; `ends` marks the last piece."""
        SOURCES.adopt(self.sources)
        FORMATS.adopt(self.formats)
        plan = Plan.load(Path(self.out))
        for i, (piece, split) in enumerate(read_split(plan.preparation, plan.tasks[rank])):
            yield Document(text=piece.text, id=f"{rank}/{i}", metadata={"split": split, "ends": piece.ends})


class WriteTokens(PipelineStep):
    """The second step: write the tokens of a task as shards. When the shards are complete, write a list of them.

    Args:
        out: The output folder. It holds the plan and the tokenizer, and the shards are written to it.
        parallel: Whether a task may use several CPU cores.
    """

    name, type = "tokens", "writer"

    def __init__(self, out: str, parallel: bool) -> None:
        super().__init__()
        self.out, self.parallel = out, parallel

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> None:  # pyright: ignore
        """Write the tokens of each document to the shard of its split, and an end-of-text token after each document."""
        out = Path(self.out)
        plan = Plan.load(out)
        aside_name = f".writing-{rank:05d}-"
        for left_over in out.glob(f"{aside_name}*"):  # a killed process leaves such folders
            shutil.rmtree(left_over, ignore_errors=True)
        empty = 0
        with _tokenizer_threads(self.parallel), folder_aside(out, aside_name) as aside, ExitStack() as closing:
            writers = {split: _Writer(aside, split, rank, plan.dtype) for split in SPLITS}
            for writer in writers.values():
                closing.callback(writer.close)
            for document, tokens in _documents_with_tokens(data, _tokenizer(out)):
                if document.metadata["split"] is None:
                    empty += 1
                    continue
                writer = writers[document.metadata["split"]]
                writer.add(tokens)
                if document.metadata["ends"]:
                    writer.end_document(plan.end_of_text)
        shards = [asdict(writer.shard) for writer in writers.values() if writer.shard.tokens]
        record_path(out, rank).parent.mkdir(exist_ok=True)
        write_file(record_path(out, rank), json.dumps({"empty_records": empty, "shards": shards}) + "\n")


class _Writer:
    """Writes one shard and counts its documents and tokens. Without tokens it writes no file."""

    def __init__(self, folder: Path, split: str, rank: int, dtype: str) -> None:
        self._path, self._split = folder / f"{split}-{rank:05d}.bin", split
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._file: BinaryIO | None = None
        self._pending: list[int] = []
        self._documents = self._tokens = 0
        self._checksum = hashlib.sha256()

    def add(self, tokens: list[int]) -> None:
        self._pending += tokens
        if len(self._pending) >= PENDING:
            self._flush()

    def end_document(self, token: int) -> None:
        self._pending.append(token)
        self._documents += 1

    def close(self) -> None:
        self._flush()
        if self._file is not None:
            self._file.close()

    @property
    def shard(self) -> Shard:
        return Shard(self._split, self._path.name, self._documents, self._tokens, self._checksum.hexdigest())

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._file is None:
            self._file = self._path.open("wb")
        content = np.array(self._pending, dtype=self._dtype).tobytes()
        self._file.write(content)
        self._checksum.update(content)
        self._tokens += len(self._pending)
        self._pending.clear()


def _tokenizer(out: Path) -> Tokenizer:
    """Return the tokenizer, set so that it neither cuts nor pads documents and reads special tokens as plain text."""
    tokenizer = Tokenizer.from_file(str(out / TOKENIZER / TOKENIZER_FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "<|endoftext|>" inside a document is ordinary text
    return tokenizer


def _documents_with_tokens(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[tuple[Document, list[int]]]:
    for batch in _batches(documents):
        texts = [document.text for document in batch]
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        yield from zip(batch, (encoding.ids for encoding in encodings), strict=True)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield documents in batches of about equal numbers of characters."""
    batch: list[Document] = []
    length = 0
    for document in documents:
        batch.append(document)
        length += len(document.text) + 1
        if length >= BATCH:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


@contextmanager
def _tokenizer_threads(parallel: bool) -> Generator[None, None, None]:
    """Let the tokenizer use all CPU cores or only one. The tokenizer reads this only from an environment variable."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = str(parallel).lower()
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
