import gzip
import json

import pyarrow as pa
import pytest
from tests.text.written import TEXTS, fineweb


@pytest.fixture
def folder(tmp_path):
    lines = "".join(json.dumps({"text": text, "score": 3.5}) + "\n" for text in TEXTS)
    (tmp_path / "b.jsonl").write_text(lines)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "d.jsonl.zst").write_bytes(pa.compress(lines.encode(), codec="zstd", asbytes=True))
    (tmp_path / "e.txt").write_text("\n<|endoftext|>\n".join(TEXTS) + "\n")
    (tmp_path / "deep").mkdir()
    fineweb(tmp_path / "deep" / "a.parquet", TEXTS)
    (tmp_path / "README.md").write_text("no text of ours")
    return tmp_path
