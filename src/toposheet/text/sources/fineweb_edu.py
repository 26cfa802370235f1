"""FineWeb-Edu, 10 billion tokens of educational web pages, streamed from the hub (arXiv:2406.17557)."""

from __future__ import annotations

from toposheet.errors import NotFound, first_line
from toposheet.text.documents import File, Source

FOLDER = "hf://datasets/HuggingFaceFW/fineweb-edu/sample/10BT"
CARD = {
    "name": "fineweb-edu, sample-10BT",
    "genre": "educational web pages",
    "package": "HuggingFaceFW/fineweb-edu (Hugging Face hub)",
    "licence": "ODC-By 1.0; Common Crawl's terms of use",
    "source": "Common Crawl",
}


def _files() -> list[File]:
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(FOLDER)
        entries = files.find(path, detail=True)
    except Exception as error:  # an error of the client of the hub, or of the network
        raise NotFound(f"{FOLDER} cannot be read from the hub ({first_line(error)}): check the network") from None
    return [
        File(files.unstrip_protocol(name), int(entry["size"]))
        for name, entry in sorted(entries.items())
        if name.endswith(".parquet")
    ]


SOURCE = Source(files=_files, cards=lambda: [CARD])
