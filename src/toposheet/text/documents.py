"""Documents: the sources and the file formats from which they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from toposheet.errors import NotFound, UserError, did_you_mean
from toposheet.files import path_of
from toposheet.registry import Registry
from toposheet.text.copies import repeated
from toposheet.text.folders import check_readable, in_words, text_files

CARDS = "corpora.json"
TRAIN = "train"
"""This name in place of a tokenizer means: train a tokenizer on the text."""
END_OF_TEXT = "<|endoftext|>"
"""The line that separates the documents of a .txt file, and the name of the token that ends a document."""


class SourceError(UserError):
    """A source holds something that is not text. The message says where."""


class File(NamedTuple):
    """A file of documents.

    Args:
        path: An absolute path, or an address on the hub. If a source has its own reader, any name that the reader
            understands.
        size: Size of the file in bytes. 0 if the size is not known.
        source: Name of the source whose reader reads the file. Empty: the ending of the file name decides the reader.
    """

    path: str
    size: int
    source: str = ""


class Piece(NamedTuple):
    """A document, or a part of a document that is too long for memory.

    Args:
        text: The text. It is empty only if a record has no text, or in the last part of a document.
        ends: Whether the document ends with this piece.
    """

    text: str
    ends: bool


Read = Callable[[str, str], Iterator[Piece]]
"""A function that yields the documents of a file, given its path and the column with the text of a record."""


@dataclass(frozen=True)
class Source:
    """A source of documents with a name.

    A registered source is sent to the worker processes on this machine or on a cluster. If its functions are defined in
    a module, this module must be installed there too.

    Args:
        files: A function that returns the files, in order. It raises `NotFound` if something that it needs is missing.
        cards: A function that returns a description of each corpus: name, genre, package, licence, source.
        read: A function that reads one of the files. None: the ending of the file name decides (`Format`).
        tokenizer: The default tokenizer for this source: a folder, a hub id, or `train`.
    """

    files: Callable[[], list[File]]
    cards: Callable[[], list[dict[str, str]]]
    read: Read | None = None
    tokenizer: str = "gpt2"


@dataclass(frozen=True)
class Format:
    """A file format for text.

    Args:
        endings: The endings of the file names, in small letters: `(".txt", ".txt.gz")`. The file names themselves may
            have capital letters.
        read: A function that reads a file of this format.
    """

    endings: tuple[str, ...]
    read: Read


SOURCES = Registry[Source]("toposheet.text.sources", "SOURCE", "data source", hyphens=True, entry=f"{__name__}:Source")
FORMATS = Registry[Format]("toposheet.text.formats", "FORMAT", "file format", entry=f"{__name__}:Format")


@dataclass(frozen=True)
class Survey:
    """The files that are read from sources, and the files that are left out.

    Args:
        files: The files to read, each once, in the order of the sources. Files of one folder are in order of their
            names.
        left_out: The reason for each path that is not read.
    """

    files: list[File]
    left_out: dict[str, str]


def survey(sources: Sequence[str]) -> Survey:
    """Return the files of the sources: the files to read and the files to leave out.

    The same text is read once, even if it comes from several sources: a file to which several paths lead, a copy of an
    earlier file (also with other line ends), and a compressed copy whose name differs in the compression alone
    (`a.txt`, `a.txt.gz`).

    Args:
        sources: Names of known sources, paths of files, or paths of folders. Folders are searched for text files.

    Raises:
        NotFound: A path does not exist, a corpus is not installed, or the hub does not answer.
        UserError: A file has an unknown format, is empty, or may not be read by this user. Or a folder holds no text
            files.
    """
    left_out: dict[str, str] = {}
    files = list(dict.fromkeys(file for source in sources for file in _files_of(source, left_out)))
    on_disk = [file.path for file in files if not file.source and Path(file.path).is_absolute()]
    for path in on_disk:
        left_out.pop(path, None)  # a hidden file in a folder that is also named itself
    again = repeated(on_disk)
    return Survey([file for file in files if file.source or file.path not in again], left_out | again)


def list_files(sources: Sequence[str]) -> list[File]:
    """Return the files that are read from the sources. See `survey`."""
    return survey(sources).files


def cards(source: str, licence: str | None) -> list[dict[str, str]]:
    """Return a description of each corpus of a source: name, genre, package, licence, source.

    A folder can hold descriptions of its corpora, as a list in the file `corpora.json`.

    Args:
        source: Name of a known source, or path of a file or folder.
        licence: Licence of the user's own files.

    Raises:
        SourceError: The file `corpora.json` does not hold a list of descriptions.
    """
    if source in SOURCES:
        return SOURCES[source].cards()
    said = path_of(source) / CARDS
    if said.is_file():
        try:
            entries = json.loads(said.read_text(encoding="utf-8-sig"))
            return [{str(field): str(value) for field, value in entry.items()} for entry in entries]
        except (ValueError, AttributeError, TypeError) as error:
            raise SourceError(
                f"{said} must hold a list of records (name, genre, package, licence, source): {error}"
            ) from None
    return [{"name": Path(source).name, "genre": "", "package": "", "licence": licence or "", "source": source}]


def default_tokenizer(sources: Sequence[str]) -> str:
    """Return the default tokenizer for the sources.

    If there is one source and it is a known source, this source names the tokenizer. Otherwise it is `gpt2`.
    """
    return SOURCES[sources[0]].tokenizer if len(sources) == 1 and sources[0] in SOURCES else "gpt2"


def read_documents(file: File, column: str) -> Iterator[Piece]:
    """Yield the documents of a file, in order.

    A damaged record, or a record without the text column, is an error here, so that no document is lost unnoticed. (The
    readers of datatrove leave such records out with a warning.)

    Args:
        file: A file that `list_files` returned.
        column: Name of the column or field with the text of a record (.jsonl, .parquet).

    Raises:
        SourceError: The file is damaged, or it has no such column. The message names the file and the line.
        RunError: The file cannot be read from the hub.
        OSError: The file cannot be read.
    """
    if file.source:
        read = SOURCES[file.source].read
    else:
        read = next(form.read for _, form in FORMATS.items() if file.path.lower().endswith(form.endings))
    assert read is not None
    return read(file.path, column)


def endings() -> list[str]:
    """Return the endings of the names of text files. Endings of compressed files come last."""
    every = [ending for _, form in FORMATS.items() for ending in form.endings]
    return sorted(every, key=lambda ending: (ending.count("."), ending))


def _files_of(name: str, left_out: dict[str, str]) -> list[File]:
    if name in SOURCES:
        source = SOURCES[name]
        return [file if source.read is None else file._replace(source=name) for file in source.files()]
    path = path_of(name).absolute()
    if not path.exists():
        raise NotFound(
            f"{name} does not exist: give {', '.join(SOURCES)}, or a file or folder.{did_you_mean(name, SOURCES)}"
        )
    kinds = endings()
    if path.is_dir():
        new: dict[str, str] = {}
        paths = text_files(path, tuple(kinds), path / CARDS, new)
        if not paths:
            others = f"; the folder holds {in_words(new, path)}" if new else ""
            raise UserError(f"{name} holds no text to read: names of text files end in {', '.join(kinds)}{others}")
        left_out |= new
        return [File(str(path), path.stat().st_size) for path in paths]
    if not path.name.lower().endswith(tuple(kinds)):
        raise UserError(f"{name} is not a text file: names of text files end in {', '.join(kinds)}")
    check_readable(path)
    if not path.stat().st_size:
        raise UserError(f"{name} is empty: give a file with text")
    return [File(str(path), path.stat().st_size)]
