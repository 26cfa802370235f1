import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.written import TEXTS, fineweb, texts

from toposheet.text.documents import SourceError, cards, list_files


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
    assert [(file.source, file.path.rpartition("/")[2]) for file in list_files(named)] == [
        ("", "e.txt"), ("", "a.parquet"), ("builtin", "encyclopedia"), ("builtin", "bible"),
    ]  # fmt: skip


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
        ("a.jsonl", b'{"text": "x"}\n["x"]\n', "a.jsonl, line 2: list, not a JSON object"),
        (
            "a.jsonl",
            b'{"body": "x", "id": 1}\n',
            r"line 1: there is no column 'text' \(the columns are: body, id\): .* --text-column",
        ),
        ("a.jsonl", b'{"text": 3}\n', "line 1: the column 'text' holds int, not text"),
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


@pytest.mark.parametrize("name", ["c.jsonl.gz", "d.jsonl.zst"])
def test_a_compressed_file_that_is_cut_off_is_no_shorter_text(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((OSError, SourceError)):
        texts(path)


def test_sources_that_are_none_say_so(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist: give builtin, fineweb-edu"):
        list_files([str(folder / "nowhere")])
    with pytest.raises(ValueError, match=r"README.md is not a text file: .* .jsonl, .parquet, .txt, .jsonl.gz"):
        list_files([str(folder / "README.md")])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no text"):
        list_files([str(folder / "empty")])


def test_a_card_says_where_text_comes_from_and_what_is_allowed():
    assert [entry["name"] for entry in cards("builtin", None)] == ["encyclopedia", "bible"]
    (entry,) = cards("/data/novels", "CC0")
    assert (entry["name"], entry["licence"], entry["source"]) == ("novels", "CC0", "/data/novels")
