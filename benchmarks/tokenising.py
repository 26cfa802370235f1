"""Claim: text of any size becomes tokens at more than half a million a second, in memory that does not grow with it.

The command line prepares files of FineWeb-Edu's schema, with two processes and a vocabulary of GPT-2's size. The text
is that of the built-in corpora, over and over: real English, though less varied than the web.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from toposheet.text.corpora import builtin_documents
from toposheet.text.shards import SPLITS, Manifest
from toposheet.text.tokenizer import train_tokenizer

MEGABYTES, N_FILES, WORKERS, VOCABULARY = (50, 200), 8, 2, 50_257
GPT2 = "TOPOSHEET_GPT2"
"""Names a folder with GPT-2's tokenizer; without it one of that size is trained, on the same text."""


def measure() -> list[dict[str, Any]]:
    """Return one row for each size of the text."""
    documents = builtin_documents()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = os.environ.get(GPT2)
        if tokenizer is None:
            tokenizer = str(folder / "tokenizer")
            train_tokenizer(documents, VOCABULARY).save_pretrained(tokenizer)
        rows = []
        for megabytes in MEGABYTES:
            source, out = folder / f"source-{megabytes}", folder / f"out-{megabytes}"
            _write(documents, source, megabytes)
            arguments = [source, "--out", out, "--tokenizer", tokenizer, "--workers", WORKERS]
            seconds, peak = _run(["data", "prepare", *map(str, arguments)])
            manifest = Manifest.load(out)
            tokens = sum(manifest.tokens(split) for split in SPLITS)
            which = "GPT-2's" if GPT2 in os.environ else "trained"
            rows.append({
                "megabytes": megabytes, "tokenizer": which, "tokens": tokens, "workers": WORKERS,
                "million_per_second": tokens / seconds / 1e6, "at_least": 0.5, "peak_mb": peak / 1e6,
            })  # fmt: skip
        return rows


def _write(documents: list[str], folder: Path, megabytes: int) -> None:
    """Write documents, over and over, as files of FineWeb-Edu's schema."""
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


def _run(arguments: list[str]) -> tuple[float, int]:
    """Return the seconds that a command takes, and the most memory of it and its processes together."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "toposheet", *arguments], stdout=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, _memory(process.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    thread.join()
    if code:
        raise RuntimeError(f"toposheet {' '.join(arguments)} ended with {code}")
    return seconds, peak


def _memory(pid: int) -> int:
    """Return the bytes of a process and those below it, shared pages counted in parts."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
