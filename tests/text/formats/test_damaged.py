"""A damaged file is named, whatever its kind, whoever reads it."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.written import texts

from toposheet.errors import UserError
from toposheet.text import pipeline
from toposheet.text.documents import SourceError
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation

LINES = "".join(f'{{"text": "the river ran past mill {i}"}}\n' for i in range(3000)).encode()
GZIPPED, ZSTD = gzip.compress(LINES), pa.compress(LINES, codec="zstd", asbytes=True)
CHANGED = GZIPPED[:2000] + bytes([GZIPPED[2000] ^ 255]) + GZIPPED[2001:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.jsonl.gz", GZIPPED[:4000]),
        ("b.jsonl.gz", GZIPPED[:-4]),
        ("b.jsonl.gz", GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:]),
        ("b.jsonl.gz", CHANGED),
        ("b.jsonl.gz", GZIPPED + b"hello"),
        ("b.jsonl.gz", LINES),
        ("B.JSONL.GZ", GZIPPED[:4000]),
        ("b.txt.gz", GZIPPED[:4000]),
        ("b.jsonl.zst", ZSTD[: len(ZSTD) // 2]),
        ("b.txt.zst", ZSTD[:-1]),
        ("b.jsonl.zst", LINES),
    ],
)
def test_a_compressed_file_that_is_damaged_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}(: damaged or incomplete|, line \d+: not)"):
        texts(tmp_path / name)


def test_a_parquet_file_with_a_damaged_page_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": [f"the river ran past mill {i}" for i in range(3000)]}), path, use_dictionary=False
    )
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.parquet(: not a Parquet file, or damaged|, row \d+: not UTF-8)"):
        texts(path)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.txt", "one\ntwo".encode("utf-16"), "save the file as UTF-8, or leave it out"),
        ("a.jsonl", LINES.decode().encode("utf-16"), "save the file as UTF-8, or leave it out"),
        ("a.txt", GZIPPED, r"the file is compressed\. Add \.gz to its name"),
        ("a.jsonl", GZIPPED, r"the file is compressed\. Add \.gz to its name"),
        ("a.txt", ZSTD, r"the file is compressed\. Add \.zst to its name"),
        ("a.jsonl", b"{\n", "write one JSON object in each line, or leave the file out"),
        ("a.parquet", LINES, "copy the file again, or leave it out"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_gets_advice(tmp_path, name, content, advice):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}(, line 1)?: not .*{advice}"):
        texts(tmp_path / name)


def test_names_in_capitals_are_decompressed(tmp_path):
    (tmp_path / "A.JSONL.GZ").write_bytes(GZIPPED)
    assert len(texts(tmp_path / "A.JSONL.GZ")) == 3000


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("trained", [True, False])
def test_whoever_reads_it(tmp_path, monkeypatch, workers, trained, tokenizer):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(LINES)
    (folder / "b.jsonl.gz").write_bytes(GZIPPED[:4000])
    monkeypatch.setattr(pipeline, "cut", lambda files: tuple((file,) for file in files))
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    named = ("train", 300) if trained else (str(tmp_path / "tokenizer"), None)
    asked = Preparation((str(folder),), *named, validation_fraction=0.05)
    with pytest.raises(UserError, match=r"b\.jsonl\.gz: damaged or incomplete") as error:
        prepare(asked, tmp_path / "out", Executor(workers=workers))
    assert "\n" not in str(error.value)
