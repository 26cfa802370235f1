"""Documents, wherever they come from: how sources and kinds of file declare themselves, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from toposheet.errors import NotFound, UserError, did_you_mean
from toposheet.files import path_of
from toposheet.registry import Registry
from toposheet.text.folders import check_readable, in_words, text_files

CARDS = "corpora.json"
TRAIN = "train"
"""In place of a tokenizer: one is trained on the text itself."""
END_OF_TEXT = "<|endoftext|>"
"""The line between the documents of a .txt file, and the name of the token between documents."""


class SourceError(UserError):
    """Something in a source that is no text; the message says where."""


class File(NamedTuple):
    """A file of documents.

    Args:
        path: An absolute path or an address of the hub; of a source that reads its files itself, what it calls them.
        size: Bytes on disk; 0 where that is not asked.
        source: The source that reads the file. Empty: the end of its name says how it is read.
    """

    path: str
    size: int
    source: str = ""


class Piece(NamedTuple):
    """A document, or a part of one that is too long to be in memory at once.

    Args:
        text: Not empty, except where a record has no text or a part is the last.
        ends: Whether the document ends here.
    """

    text: str
    ends: bool


Read = Callable[[str, str], Iterator[Piece]]
"""Yields the documents of a file, given its path and the column where records have their text."""


@dataclass(frozen=True)
class Source:
    """A source of documents that goes by a name.

    Other processes of this machine or of a cluster get a source from outside together with the work, as they get the
    steps of the pipeline. Where its functions stand in a module, that module must be installed there too.

    Args:
        files: Returns its files, in order; raises `NotFound` where something that it needs is missing.
        cards: Returns what a reader must know of each of its corpora: name, genre, package, licence, source.
        read: Reads one of these files. None: the end of a file's name says how (`Format`).
        tokenizer: The tokenizer of its text where none is asked for: a folder, a hub id, or `train`.
    """

    files: Callable[[], list[File]]
    cards: Callable[[], list[dict[str, str]]]
    read: Read | None = None
    tokenizer: str = "gpt2"


@dataclass(frozen=True)
class Format:
    """A kind of file that holds text.

    Args:
        endings: How the names of such files end, in small letters: `(".txt", ".txt.gz")`; names may have capitals.
        read: Reads one.
    """

    endings: tuple[str, ...]
    read: Read


SOURCES = Registry[Source]("toposheet.text.sources", "SOURCE", "data source", hyphens=True, entry=f"{__name__}:Source")
FORMATS = Registry[Format]("toposheet.text.formats", "FORMAT", "file format", entry=f"{__name__}:Format")


@dataclass(frozen=True)
class Survey:
    """The files of sources.

    Args:
        files: Those that are read, each once: in the order of the sources, those of a folder by name.
        left_out: The paths in folders that are not read, each with the reason.
    """

    files: list[File]
    left_out: dict[str, str]


def survey(sources: Sequence[str]) -> Survey:
    """Return which files of sources are read, and which are left out.

    Args:
        sources: Names of `SOURCES`, files, or folders, which are searched for files of text.

    Raises:
        NotFound: a path does not exist, a corpus is not installed, or the hub does not answer.
        UserError: a file is of no kind that can be read, may not be read or is empty, or a folder has none that can be
            read.
    """
    left_out: dict[str, str] = {}
    files = [file for source in sources for file in _files_of(source, left_out)]
    return Survey(list(dict.fromkeys(files)), left_out)


def list_files(sources: Sequence[str]) -> list[File]:
    """Return the files of sources that are read; see `survey`."""
    return survey(sources).files


def cards(source: str, licence: str | None) -> list[dict[str, str]]:
    """Return what a reader must know of the text of a source: name, genre, package, licence, source.

    A folder may say that of its corpora itself, in a list in `corpora.json`.

    Args:
        source: See `list_files`.
        licence: Of files of one's own.

    Raises:
        SourceError: that file is no list of cards.
    """
    if source in SOURCES:
        return SOURCES[source].cards()
    said = path_of(source) / CARDS
    if said.is_file():
        try:
            entries = json.loads(said.read_text(encoding="utf-8-sig"))
            return [{str(field): str(value) for field, value in entry.items()} for entry in entries]
        except (ValueError, AttributeError, TypeError) as error:
            raise SourceError(f"{said} is no list of cards (name, genre, package, licence, source): {error}") from None
    return [{"name": Path(source).name, "genre": "", "package": "", "licence": licence or "", "source": source}]


def default_tokenizer(sources: Sequence[str]) -> str:
    """Return the tokenizer of sources where none is asked for: that of a single named one, else `gpt2`."""
    return SOURCES[sources[0]].tokenizer if len(sources) == 1 and sources[0] in SOURCES else "gpt2"


def read_documents(file: File, column: str) -> Iterator[Piece]:
    """Yield the documents of a file, in order.

    datatrove's own readers drop a record that is damaged or has no text column, with no more than a warning; here
    it is an error, so that no document is lost in silence.

    Args:
        file: One of `list_files`.
        column: Where records (.jsonl, .parquet) have their text.

    Raises:
        SourceError: the file is damaged, or has no such column; the message names file and line.
        RunError: the hub does not give the file.
        OSError: the file cannot be read.
    """
    if file.source:
        read = SOURCES[file.source].read
    else:
        read = next(form.read for _, form in FORMATS.items() if file.path.lower().endswith(form.endings))
    assert read is not None
    return read(file.path, column)


def endings() -> list[str]:
    """Return how the names of files of text end, compressed ones last."""
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
            others = f"; in it are {in_words(new, path)}" if new else ""
            raise UserError(f"{name} holds no text: no file in it is named {', '.join(kinds)}{others}")
        left_out |= new
        return [File(str(path), path.stat().st_size) for path in paths]
    if not path.name.lower().endswith(tuple(kinds)):
        raise UserError(f"{name} is of no kind that can be read: text is in files named {', '.join(kinds)}")
    check_readable(path)
    if not path.stat().st_size:
        raise UserError(f"{name} is empty: give a file with text")
    return [File(str(path), path.stat().st_size)]
