"""Claim: `data prepare` writes more than half a million tokens per second, and its memory does not grow with the text.

The command prepares Parquet files in the format of FineWeb-Edu, with two processes and a vocabulary of GPT-2's size.
The files repeat the built-in corpora. This is real English, but less varied than text from the web.
"""

from __future__ import annotations

import os
import tempfile
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import command
from toposheet.text.corpora import builtin_documents
from toposheet.text.shards import SPLITS, Manifest
from toposheet.text.tokenizer import train_tokenizer

MEGABYTES, N_FILES, WORKERS, VOCABULARY = (50, 200), 8, 2, 50_257
GPT2 = "TOPOSHEET_GPT2"
"""Environment variable with the folder of GPT-2's tokenizer. Without it, a tokenizer of equal size is trained."""


def measure() -> list[dict[str, Any]]:
    """Return one row for each text size."""
    documents = builtin_documents()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = str(tokenizer_of_size_of_gpt2(folder / "tokenizer"))
        rows = []
        for megabytes in MEGABYTES:
            source, out = folder / f"source-{megabytes}", folder / f"out-{megabytes}"
            _write(documents, source, megabytes)
            arguments = [source, "--out", out, "--tokenizer", tokenizer, "--workers", WORKERS]
            seconds, peak = command(["data", "prepare", *map(str, arguments)])
            manifest = Manifest.load(out)
            tokens = sum(manifest.tokens(split) for split in SPLITS)
            which = "GPT-2's" if GPT2 in os.environ else "trained"
            rows.append({
                "megabytes": megabytes, "tokenizer": which, "tokens": tokens, "workers": WORKERS,
                "million_per_second": tokens / seconds / 1e6, "at_least": 0.5, "peak_mb": peak / 1e6,
            })  # fmt: skip
        return rows


def tokenizer_of_size_of_gpt2(folder: Path) -> Path:
    """Return the folder of GPT-2's tokenizer. Without it, train a tokenizer of equal size and store it in `folder`."""
    if given := os.environ.get(GPT2):
        return Path(given)
    train_tokenizer(builtin_documents(), VOCABULARY).save_pretrained(folder)
    return folder


def _write(documents: list[str], folder: Path, megabytes: int) -> None:
    """Write Parquet files in the format of FineWeb-Edu. The documents repeat until the files have the wanted size."""
    folder.mkdir()
    stream = cycle(documents)
    for i in range(N_FILES):
        texts, size = [], 0
        while size < megabytes * 1e6 / N_FILES:
            texts.append(next(stream))
            size += len(texts[-1].encode())
        n = len(texts)
        columns = {
            "text": texts, "id": [f"<urn:uuid:{i}-{j}>" for j in range(n)], "dump": ["CC-MAIN-2024-10"] * n,
            "url": ["https://example.org"] * n, "file_path": ["s3://commoncrawl/a.warc.gz"] * n, "language": ["en"] * n,
            "language_score": [0.97] * n, "token_count": [0] * n, "score": [3.0] * n, "int_score": [3] * n,
        }  # fmt: skip
        pq.write_table(pa.table(columns), folder / f"{i:03d}_00000.parquet", row_group_size=1000)
