import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.written import texts

from toposheet.errors import UserError
from toposheet.text.documents import survey
from toposheet.text.folders import in_words
from toposheet.text.pipeline import prepare
from toposheet.text.plan import HERE, Preparation
from toposheet.text.shards import read_manifest


@pytest.fixture
def mixed(tmp_path):
    """A folder as people have them: two files of text, and what else lies there."""
    folder = tmp_path / "d"
    for name in (".ipynb_checkpoints", "deep", "deep/.git"):
        (folder / name).mkdir(parents=True)
    text = "\n<|endoftext|>\n".join(f"document {i} says that the river ran past the mill" for i in range(300))
    (folder / "a.txt").write_text(text)
    (folder / "deep" / "B.TXT").write_text("another\n<|endoftext|>\nand another")
    (folder / ".ipynb_checkpoints" / "a-checkpoint.txt").write_text(text)
    (folder / "copy.txt").write_text(text)
    (folder / "c.json").write_text("{}")
    (folder / "empty.jsonl").touch()
    (folder / "deep" / "link.txt").symlink_to(folder / "a.txt")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "nothing.txt").symlink_to(folder / "nowhere")
    (folder / "corpora.json").write_text('[{"name": "mills"}]')
    os.mkfifo(folder / "pipe.txt")
    return folder


LEFT_OUT = {
    ".ipynb_checkpoints": "hidden",
    "deep/.git": "hidden",
    "copy.txt": "a copy of {}/a.txt",
    "c.json": "not a text file",
    "empty.jsonl": "empty",
    "deep/link.txt": "the same file as {}/a.txt",
    "deep/loop": "the same folder as {}",
    "itself": "a broken link",
    "nothing.txt": "a broken link",
    "pipe.txt": "neither a file nor a folder",
}


def test_a_file_is_read_once_and_all_else_is_left_out_with_its_reason(mixed):
    result = survey([str(mixed)])
    assert [file.path for file in result.files] == [str(mixed / "a.txt"), str(mixed / "deep" / "B.TXT")]
    assert result.left_out == {str(mixed / name): why.format(mixed) for name, why in LEFT_OUT.items()}


def test_what_is_left_out_is_said_and_recorded(mixed, tmp_path):
    said = []
    asked = Preparation((str(mixed),), tokenizer="train", vocabulary=300, validation_fraction=0.1)
    prepare(asked, tmp_path / "out", HERE, said.append)
    assert said[0].startswith("2 files are read: a.txt, B.TXT. Left out: ")
    for line in said:
        assert all(name in line for name in LEFT_OUT), line
    manifest = read_manifest(tmp_path / "out")
    assert manifest.read == [str(mixed / "a.txt"), str(mixed / "deep" / "B.TXT")]
    assert manifest.left_out == {str(mixed / name): why.format(mixed) for name, why in LEFT_OUT.items()}
    prepare(asked, tmp_path / "out", HERE, said.append)
    assert "prepared already" in said[-1]
    assert "c.json (not a text file)" in said[-1]


def test_links_are_followed_and_a_file_that_is_named_is_read(mixed, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "folder").symlink_to(mixed / "deep")
    (tmp_path / "links" / "one.txt").symlink_to(mixed / "a.txt")
    names = [file.path.removeprefix(str(tmp_path)) for file in survey([str(tmp_path / "links")]).files]
    assert names == ["/links/folder/B.TXT", "/links/folder/link.txt"]  # one.txt is the same as the latter
    hidden = str(mixed / ".ipynb_checkpoints" / "a-checkpoint.txt")
    assert [file.path for file in survey([hidden]).files] == [hidden]


def test_a_folder_of_nothing_to_read_says_what_is_in_it(tmp_path):
    (tmp_path / "notes.md").touch()
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        UserError, match=r"holds no text to read: .*; the folder holds a\.txt \(empty\); notes\.md \(not a text"
    ):
        survey([str(tmp_path)])
    with pytest.raises(UserError, match=r"a\.txt is empty: give a file with text"):
        survey([str(tmp_path / "a.txt")])


def test_a_file_that_may_not_be_read_is_refused_by_name(mixed, monkeypatch):
    monkeypatch.setattr("toposheet.text.folders.os.access", lambda path, mode: path.name != "B.TXT")
    with pytest.raises(UserError, match=r"B\.TXT cannot be read: this user has no permission"):
        survey([str(mixed)])
    monkeypatch.setattr("toposheet.text.folders.os.access", lambda path, mode: path.name != "deep")
    with pytest.raises(UserError, match=r"deep cannot be read"):
        survey([str(mixed)])


def test_many_names_of_one_reason_are_counted(tmp_path):
    left_out = {str(tmp_path / f"{n}.md"): "of no kind" for n in range(12)} | {"/elsewhere/x": "empty"}
    assert in_words(left_out, tmp_path) == "0.md, 1.md, 2.md and 9 more (of no kind); /elsewhere/x (empty)"


@pytest.fixture
def twice(tmp_path):
    """The same two texts in a folder, behind a link, in a copy, and compressed."""
    for name in ("m1", "m2", "packed"):
        (tmp_path / name).mkdir()
    for name in ("a.txt", "b.txt"):
        for folder in ("m1", "m2"):
            (tmp_path / folder / name).write_text(f"the text {name}")
        (tmp_path / "packed" / f"{name}.GZ").write_bytes(gzip.compress(f"the text {name}".encode()))
    (tmp_path / "m1link").symlink_to(tmp_path / "m1")
    return tmp_path


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("m1link", "the same file as"),
        ("m1/../m1", "the same file as"),
        ("m2", "a copy of"),
        ("packed", "the same text as"),
        ("m1link/a.txt", "the same file as"),
        ("m2/a.txt", "a copy of"),
        ("packed/a.txt.GZ", "the same text as"),
    ],
)
def test_the_same_text_of_two_sources_is_read_once(twice, second, reason):
    result = survey([str(twice / "m1"), str(twice / second)])
    assert [file.path for file in result.files] == [str(twice / "m1" / "a.txt"), str(twice / "m1" / "b.txt")]
    names = ["a.txt"] if "a.txt" in second else ["a.txt", "b.txt"]
    assert sorted(result.left_out.values()) == [f"{reason} {twice / 'm1' / name}" for name in names]
    one = survey([str(twice / "m1" / "a.txt"), str(twice / second)])
    assert len(one.files) == len(names)


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
@pytest.mark.parametrize("size", [1, 300_000])
def test_the_same_text_with_other_line_ends_is_read_once(tmp_path, ending, size):
    text = b'{"text": "a"}\n\n{"text": "bc"}\n' * size
    variants = {
        "b": text.replace(b"\n", b"\r\n"),
        "c": b"\xef\xbb\xbf" + text,
        "d": text.rstrip(b"\n"),
        "e": text + b"\n\r\n\n",
        "f": text.replace(b"\n", b"\r"),
    }
    others = {"w": text[1:], "x": text.replace(b"\n\n", b"\n"), "y": text + b" ", "z": b"\n" + text}
    for name, content in ({"a": text} | variants | others).items():
        (tmp_path / f"{name}{ending}").write_bytes(content)
    (tmp_path / f"a{ending}.gz").write_bytes(gzip.compress(variants["b"]))
    result = survey([str(tmp_path)])
    again = {*(f"{name}{ending}" for name in variants), f"a{ending}.gz"}
    assert result.left_out == {str(tmp_path / name): f"the same text as {tmp_path / f'a{ending}'}" for name in again}
    assert len(result.files) == 1 + len(others)


def test_a_line_end_on_the_border_of_two_blocks_is_one_line_end(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"a\r\n\r\nb\rc\r")
    (tmp_path / "b.txt").write_bytes(b"a\n\nb\nc")
    for block in range(3, 12):
        monkeypatch.setattr("toposheet.text.copies._BLOCK", block)
        assert len(survey([str(tmp_path)]).files) == 1


@pytest.mark.parametrize("ending", [".txt", ".txt.gz", ".jsonl", ".jsonl.zst", ".parquet"])
def test_a_file_whose_name_is_not_utf_8_is_read_and_recorded(tmp_path, ending):
    folder = tmp_path / "d"
    folder.mkdir()
    path = folder / os.fsdecode(b"caf\xe9" + ending.encode())
    rows = [f"document {i} says that the river ran past the mill" for i in range(300)]
    if ending == ".parquet":
        with path.open("wb") as file:
            pq.write_table(pa.table({"text": rows}), file)
    else:
        text = (
            "".join(f'{{"text": "{row}"}}\n' for row in rows) if "jsonl" in ending else "\n<|endoftext|>\n".join(rows)
        )
        packed = {".gz": gzip.compress, ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True)}
        path.write_bytes(packed.get(path.suffix, bytes)(text.encode()))
    prepare(
        Preparation((str(folder),), tokenizer="train", vocabulary=300, validation_fraction=0.1), tmp_path / "out", HERE
    )
    assert read_manifest(tmp_path / "out").read == [str(path)]
    path.write_bytes(b"\xff\xfe\x00" * 9)
    with pytest.raises(UserError, match="caf"):
        texts(path)


def test_a_source_twice_is_said_nowhere_and_other_texts_of_one_name_are_read(twice):
    result = survey([str(twice / "m1"), str(twice / "m1"), str(twice / "m1" / "a.txt")])
    assert (len(result.files), result.left_out) == (2, {})
    (twice / "m1" / "a.txt").write_text("another text")
    (twice / "packed" / "b.txt.GZ").write_bytes(b"damaged")
    assert len(survey([str(twice / "m1"), str(twice / "packed")]).files) == 4
