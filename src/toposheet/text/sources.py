"""Where documents come from: the built-in corpora, FineWeb-Edu, and files of one's own; read as a stream."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from toposheet.errors import NotFound, RunError, UserError
from toposheet.hub import first_line
from toposheet.text.corpora import BUILTIN
from toposheet.text.split import LONGEST

BUILTIN_TEXT, FINEWEB_EDU = "builtin", "fineweb-edu"
FINEWEB_EDU_FOLDER = "hf://datasets/HuggingFaceFW/fineweb-edu/sample/10BT"
FINEWEB_EDU_CARD = {
    "name": "fineweb-edu, sample-10BT",
    "genre": "educational web pages",
    "package": "HuggingFaceFW/fineweb-edu (Hugging Face hub)",
    "licence": "ODC-By 1.0; Common Crawl's terms of use",
    "source": "Common Crawl",
}
CARDS = "corpora.json"
END_OF_TEXT = "<|endoftext|>"
"""The line between the documents of a .txt file, and the name of the token between documents."""


class SourceError(UserError):
    """Something in a source that is no text; the message says where."""


class File(NamedTuple):
    """A file of documents.

    Args:
        path: An absolute path, an address of the hub, or `builtin:NAME`.
        size: Bytes on disk; 0 where that is not asked.
    """

    path: str
    size: int


class Piece(NamedTuple):
    """A document, or a part of one that is too long to be in memory at once.

    Args:
        text: Not empty, except where a record has no text or a part is the last.
        ends: Whether the document ends here.
    """

    text: str
    ends: bool


def list_files(sources: Sequence[str]) -> list[File]:
    """Return the files of sources, each once: in the order given, those of a folder by name.

    Args:
        sources: `builtin`, `fineweb-edu`, files, or folders, which are searched for files of text.

    Raises:
        NotFound: a path does not exist, a corpus is not installed, or the hub does not answer.
        UserError: a file is of no kind that can be read, or a folder has none that is.
    """
    return list(dict.fromkeys(file for source in sources for file in _files_of(source)))


def card(source: str, licence: str | None) -> list[dict[str, str]]:
    """Return what a reader must know of the text of a source: name, genre, package, licence, source.

    A folder may say that of its corpora itself, in a list in `corpora.json`.

    Raises:
        SourceError: that file is no list of cards.
    """
    if source == BUILTIN_TEXT:
        return [corpus.card() for corpus in BUILTIN]
    if source == FINEWEB_EDU:
        return [FINEWEB_EDU_CARD]
    said = Path(source) / CARDS
    if said.is_file():
        try:
            return [
                {str(field): str(value) for field, value in entry.items()} for entry in json.loads(said.read_text())
            ]
        except (ValueError, AttributeError, TypeError) as error:
            raise SourceError(f"{said} is no list of cards (name, genre, package, licence, source): {error}") from None
    return [{"name": Path(source).name, "genre": "", "package": "", "licence": licence or "", "source": source}]


def read_documents(file: File, column: str) -> Iterator[Piece]:
    """Yield the documents of a file, in order.

    datatrove's own readers drop a record that is damaged or has no text column, with no more than a warning; here
    it is an error, so that no document is lost in silence.

    Args:
        file: One of `list_files`.
        column: Where records (.jsonl, .parquet) have their text.

    Raises:
        SourceError: the file is damaged, or has no such column; the message names file and line.
        OSError: the file cannot be read.
    """
    scheme, _, name = file.path.partition(":")
    if scheme == BUILTIN_TEXT:
        (corpus,) = (corpus for corpus in BUILTIN if corpus.name == name)
        return (Piece(text, ends=True) for text in corpus.read())
    kind = _kind(file.path)
    assert kind is not None
    return _READERS[kind](file.path, column)


def _files_of(source: str) -> list[File]:
    if source == BUILTIN_TEXT:
        folders = {corpus.name: corpus.folder for corpus in BUILTIN}  # raises where one is not installed
        return [File(f"{BUILTIN_TEXT}:{name}", 0) for name in folders]
    if source == FINEWEB_EDU:
        return _hub_files(FINEWEB_EDU_FOLDER)
    path = Path(source).absolute()
    if not path.exists():
        raise NotFound(f"{source} does not exist: give {BUILTIN_TEXT}, {FINEWEB_EDU}, or a file or folder")
    kinds = ", ".join(_READERS)
    if path.is_file() and _kind(path.name) is None:
        raise UserError(f"{source} is of no kind that can be read: text is in files named {kinds}")
    paths = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and _kind(p.name))
    if not paths:
        raise UserError(f"{source} holds no text: no file in it is named {kinds}")
    return [File(str(path), path.stat().st_size) for path in paths]


def _kind(name: str) -> str | None:
    """Return the end of a file's name that says how it is read."""
    return next((kind for kind in _READERS if name.endswith(kind)), None)


def _hub_files(folder: str) -> list[File]:
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(folder)
        found = files.find(path, detail=True)
    except Exception as error:  # of the hub's client, or of the network below it
        raise NotFound(f"the hub does not give {folder} ({first_line(error)})") from None
    return [
        File(files.unstrip_protocol(name), int(entry["size"]))
        for name, entry in sorted(found.items())
        if _kind(name) == ".parquet"
    ]


def _text(path: str, _column: str) -> Iterator[Piece]:
    parts: list[str] = []
    length, begun = 0, False
    for line in chain(_decoded(path), [END_OF_TEXT]):  # the end of the file ends its last document
        if line.strip() == END_OF_TEXT:
            text = "".join(parts).rstrip("\r\n")
            if begun or text.strip():
                yield Piece(text, ends=True)
            parts, length, begun = [], 0, False
            continue
        parts.append(line)
        length += len(line)
        if length >= LONGEST and (text := "".join(parts)).strip():
            piece = text.rstrip("\r\n")  # its line break belongs to the next, if there is one
            yield Piece(piece, ends=False)
            parts, length, begun = [text[len(piece) :]], 0, True


def _decoded(path: str) -> Iterator[str]:
    """Yield the lines of a file; one that is too long for memory in parts."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    number = 1
    with _open(path) as stream:
        while True:
            part = stream.readline(LONGEST)
            try:
                line = decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                raise SourceError(f"{path}, line {number}: not UTF-8 ({error.reason})") from None
            if not part:
                return
            yield line
            number += part.endswith(b"\n")


def _jsonl(path: str, column: str) -> Iterator[Piece]:
    with _open(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise SourceError(f"{path}, line {number}: not UTF-8 ({error.reason})") from None
            except json.JSONDecodeError as error:
                raise SourceError(f"{path}, line {number}: not a JSON record ({error})") from None
            if not isinstance(record, dict) or column not in record:
                found = ", ".join(record) if isinstance(record, dict) else type(record).__name__
                raise SourceError(_no_column(f"{path}, line {number}", column, found))
            yield _whole(record[column], f"{path}, line {number}", column)


def _parquet(path: str, column: str) -> Iterator[Piece]:
    import fsspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with fsspec.open(path, "rb") as stream, pq.ParquetFile(stream, buffer_size=2**20) as table:
            if column not in table.schema_arrow.names:
                raise SourceError(_no_column(path, column, ", ".join(table.schema_arrow.names)))
            for batch in table.iter_batches(batch_size=256, columns=[column]):
                for value in batch.column(0):
                    number += 1
                    yield _whole(value.as_py(), f"{path}, row {number}", column)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path}: not a Parquet file, or a damaged one ({first_line(error)})") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}, row {number}: not UTF-8 ({error.reason})") from None
    except Exception as error:
        if "://" in path and not isinstance(error, SourceError | OSError):  # whatever the network does to the client
            raise RunError(f"{path}: {first_line(error)}") from None
        raise


def _whole(value: Any, where: str, column: str) -> Piece:
    """Return the text of a record; None counts as empty."""
    if not isinstance(value, str | None):
        raise SourceError(f"{where}: {column!r} is no text but {type(value).__name__}; choose with --text-column")
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{where}: not UTF-8 ({error.reason})") from None
    return Piece(value or "", ends=True)


def _no_column(where: str, column: str, found: str) -> str:
    return f"{where}: there is no column {column!r} but {found}; choose one with --text-column"


def _open(path: str) -> io.BufferedReader:
    """Open a file for reading; .gz and .zst are decompressed on the way."""
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(path, compression="detect"))  # pyright: ignore


_READERS = {
    ".txt": _text,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".txt.gz": _text,
    ".txt.zst": _text,
    ".jsonl.gz": _jsonl,
    ".jsonl.zst": _jsonl,
}
