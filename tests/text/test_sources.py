import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toposheet.text import sources
from toposheet.text.sources import File, Piece, SourceError, card, list_files, read_documents

TEXTS = ["The river ran.\nPast the mill.", "Ünïcode — “quotes” 雪", "A third <|endoftext|> in a line."]


def texts(path, column="text"):
    pieces = list(read_documents(File(str(path), 0), column))
    assert all(piece.ends for piece in pieces)
    return [piece.text for piece in pieces]


def fineweb(path, texts, **changes):
    """Write a file of FineWeb-Edu's schema."""
    n = len(texts)
    columns = {
        "text": texts,
        "id": [f"<urn:uuid:{i}>" for i in range(n)],
        "dump": ["CC-MAIN-2013-20"] * n,
        "url": [f"http://example.org/{i}" for i in range(n)],
        "file_path": ["s3://commoncrawl/x.warc.gz"] * n,
        "language": ["en"] * n,
        "language_score": [0.97] * n,
        "token_count": [10] * n,
        "score": [3.2] * n,
        "int_score": [3] * n,
    }
    pq.write_table(pa.table({name: changes.get(name, values) for name, values in columns.items()}), path)
    return path


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


def test_every_kind_of_file_gives_the_same_documents(folder):
    files = list_files([str(folder)])
    assert [file.path.removeprefix(f"{folder}/") for file in files] == [
        "b.jsonl", "c.jsonl.gz", "d.jsonl.zst", "deep/a.parquet", "e.txt",
    ]  # fmt: skip
    assert all(file.size > 0 for file in files)
    for file in files:
        assert texts(file.path) == TEXTS


def test_sources_keep_their_order_and_a_file_is_read_once(folder):
    named = [str(folder / "e.txt"), str(folder / "deep"), str(folder / "e.txt"), "builtin"]
    assert [file.path.rpartition("/")[2] for file in list_files(named)] == [
        "e.txt", "a.parquet", "builtin:encyclopedia", "builtin:bible",
    ]  # fmt: skip


def test_a_text_file_is_one_document_or_several_between_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo\r\n\r\n  <|endoftext|>  \r\n\r\n<|endoftext|>\nthree".encode())
    assert texts(path) == ["one\r\ntwo", "three"]
    path.write_text("one\n\ntwo <|endoftext|>\n")
    assert texts(path) == ["one\n\ntwo <|endoftext|>"]


def test_a_long_document_comes_in_pieces_that_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LONGEST", 20)
    whole = "a short line\näöü" + "x" * 50 + "\nend"
    (tmp_path / "a.txt").write_text(f"{whole}\n<|endoftext|>\nnext")
    pieces = list(read_documents(File(str(tmp_path / "a.txt"), 0), "text"))
    assert "".join(piece.text for piece in pieces[:-1]).rstrip("\n") == whole
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 2) + [True, True]
    assert pieces[-1] == Piece("next", ends=True)
    assert max(len(piece.text) for piece in pieces) < 60


def test_another_column_can_be_the_text(tmp_path):
    pq.write_table(pa.table({"content": TEXTS, "text": [1, 2, 3]}), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet", "content") == TEXTS


def test_records_without_text_are_given_as_empty_not_dropped(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n\n{"text": null}\n{"text": "x"}\n')
    assert texts(tmp_path / "a.jsonl") == ["", "", "x"]
    fineweb(tmp_path / "a.parquet", ["", None, "x"])
    assert texts(tmp_path / "a.parquet") == ["", "", "x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', "a.jsonl, line 2: not a JSON record"),
        ("a.jsonl", b'{"text": "x"}\n["x"]\n', "a.jsonl, line 2: there is no column 'text' but list"),
        ("a.jsonl", b'{"body": "x", "id": 1}\n', "line 1: there is no column 'text' but body, id; .* --text-column"),
        ("a.jsonl", b'{"text": 3}\n', "line 1: 'text' is no text but int"),
        ("a.jsonl", b'{"text": "x"}\n{"text": "\xff"}\n', "a.jsonl, line 2: not UTF-8"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "a.jsonl, line 1: not UTF-8"),
        ("a.txt", b"one\ntwo\nthr\xffee\nfour\n", "a.txt, line 3: not UTF-8"),
        ("a.txt", "one\nä".encode()[:-1], "a.txt, line 2: not UTF-8"),
        ("a.parquet", b"PAR1 no parquet", "a.parquet: not a Parquet file"),
    ],
)
def test_what_is_no_text_is_named_by_file_and_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        texts(tmp_path / name)


def test_what_is_no_text_in_parquet_is_named(tmp_path):
    pq.write_table(pa.table({"body": ["x"], "id": ["1"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a.parquet: there is no column 'text' but body, id; .* --text-column"):
        texts(tmp_path / "a.parquet")
    fineweb(tmp_path / "a.parquet", ["x", "y"], text=[1, 2])
    with pytest.raises(SourceError, match=r"a.parquet, row 1: 'text' is no text but int"):
        texts(tmp_path / "a.parquet")
    broken = pa.array([b"x", b"\xff"], pa.binary()).view(pa.string())
    fineweb(tmp_path / "a.parquet", ["x", "y"], text=broken)
    with pytest.raises(SourceError, match=r"a.parquet, row 2: not UTF-8"):
        texts(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["c.jsonl.gz", "d.jsonl.zst"])
def test_a_compressed_file_that_is_cut_off_is_no_shorter_text(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((OSError, SourceError)):
        texts(path)


def test_sources_that_are_none_say_so(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist: give builtin, fineweb-edu"):
        list_files([str(folder / "nowhere")])
    with pytest.raises(ValueError, match=r"README.md is of no kind .* .txt, .jsonl, .parquet"):
        list_files([str(folder / "README.md")])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no text"):
        list_files([str(folder / "empty")])


def test_fineweb_edu_is_streamed_from_the_hub(tmp_path, monkeypatch):
    import fsspec

    hub = fsspec.filesystem("memory")
    for name in ("001_00000.parquet", "000_00000.parquet"):
        fineweb(tmp_path / name, [f"{name} {text}" for text in TEXTS])
        hub.pipe(f"/sample/10BT/{name}", (tmp_path / name).read_bytes())
    hub.pipe("/sample/10BT/README.md", b"about")
    monkeypatch.setattr(sources, "FINEWEB_EDU_FOLDER", "memory://sample/10BT")
    files = list_files(["fineweb-edu"])
    assert [file.path for file in files] == [f"memory:///sample/10BT/{i:03d}_00000.parquet" for i in range(2)]
    assert [file.size for file in files] == [(tmp_path / f"{i:03d}_00000.parquet").stat().st_size for i in range(2)]
    assert texts(files[1].path) == [f"001_00000.parquet {text}" for text in TEXTS]
    (entry,) = card("fineweb-edu", None)
    assert "ODC-By 1.0" in entry["licence"]


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch):
    from huggingface_hub import HfFileSystem

    def unreachable(self, *args, **kwargs):
        raise ConnectionError("Name or service not known\nand much more")

    monkeypatch.setattr(HfFileSystem, "find", unreachable)
    with pytest.raises(FileNotFoundError, match=r"the hub does not give hf://.*/10BT \(Name or service not known\)$"):
        list_files(["fineweb-edu"])


def test_a_network_that_fails_while_reading_is_an_error_of_the_file(tmp_path, monkeypatch):
    import fsspec

    class ConnectError(Exception):
        pass

    def unreachable(*args, **kwargs):
        raise ConnectError("lost")

    monkeypatch.setattr(fsspec, "open", unreachable)
    with pytest.raises(OSError, match=r"^hf://datasets/x/a.parquet: lost"):
        texts("hf://datasets/x/a.parquet")


def test_a_card_says_where_text_comes_from_and_what_is_allowed():
    assert [entry["name"] for entry in card("builtin", None)] == ["encyclopedia", "bible"]
    (entry,) = card("/data/novels", "CC0")
    assert (entry["name"], entry["licence"], entry["source"]) == ("novels", "CC0", "/data/novels")
