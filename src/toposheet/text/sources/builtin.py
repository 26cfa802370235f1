"""The built-in text: English prose inside installable packages (`text.corpora`)."""

from __future__ import annotations

from collections.abc import Iterator

from toposheet.text.corpora import BUILTIN
from toposheet.text.documents import TRAIN, File, Piece, Source


def _files() -> list[File]:
    folders = {corpus.name: corpus.folder for corpus in BUILTIN}  # raises NotFound if a package is not installed
    return [File(name, 0) for name in folders]


def _read(name: str, column: str) -> Iterator[Piece]:
    (corpus,) = (corpus for corpus in BUILTIN if corpus.name == name)
    return (Piece(text, ends=True) for text in corpus.read())


SOURCE = Source(files=_files, cards=lambda: [corpus.card() for corpus in BUILTIN], read=_read, tokenizer=TRAIN)
