"""Sources and kinds of file that stand in no file of toposheet, prepared from end to end."""

import json

import dill
import pytest
from tests.text.test_pipeline import DOCUMENTS, INLINE, asked, contents

from toposheet.errors import RunError, UserError
from toposheet.text import plan
from toposheet.text.documents import FORMATS, SOURCES, File, Format, Piece, Source, list_files, read_documents
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation
from toposheet.text.shards import read_manifest
from toposheet.text.steps import ReadDocuments

CARD = {"name": "halves", "genre": "sentences", "package": "", "licence": "CC0", "source": "these tests"}


def halves():
    return [File("first", 0), File("second", 0)]


def read_half(name, column):
    start = ["first", "second"].index(name)
    return (Piece(text, ends=True) for text in DOCUMENTS[start * 62 : start * 62 + 62])


def read_markdown(path, column):
    with open(path) as stream:  # noqa: PTH123
        yield Piece(stream.read().removeprefix("# "), ends=True)


@pytest.fixture
def source():
    SOURCES.register("halves", Source(files=halves, cards=lambda: [CARD], read=read_half, tokenizer="train"))
    yield "halves"
    SOURCES.unregister("halves")


@pytest.fixture
def markdown():
    FORMATS.register("markdown", Format((".md",), read_markdown))
    yield
    FORMATS.unregister("markdown")


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def shards(saved, tmp_path):
    """The shards of the same documents from a file."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    prepare(asked(tmp_path / "a.jsonl", saved), tmp_path / "from-a-file", INLINE)
    return {split: (tmp_path / "from-a-file" / f"{split}-00000.bin").read_bytes() for split in ("train", "validation")}


def test_a_source_from_outside_is_prepared_like_a_file_of_the_same_documents(source, saved, tmp_path, shards):
    manifest = prepare(asked(source, saved), tmp_path / "out", INLINE)
    assert manifest == read_manifest(tmp_path / "out")
    assert manifest.corpora == [CARD]
    assert manifest.files == 2
    assert {split: (tmp_path / "out" / f"{split}-00000.bin").read_bytes() for split in shards} == shards
    assert prepare(asked(source, saved), tmp_path / "out", INLINE) == manifest  # it is prepared already


def test_the_step_that_reads_carries_a_source_to_a_process_that_lacks_it(source, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("toposheet.text.executors._QuietLocalExecutor.run", lambda self: None)
    with pytest.raises(RunError, match="1 of 1 task failed"):
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    step = dill.dumps(ReadDocuments(str(tmp_path / "out"), SOURCES.registered), fmode=dill.CONTENTS_FMODE)
    SOURCES.unregister(source)
    assert [document.text for document in dill.loads(step).run()] == DOCUMENTS
    assert source in SOURCES


def test_the_command_line_prepares_a_source_from_outside(source, ran, tmp_path):
    options = ["--vocabulary", 300, "--validation-fraction", 0.2, "--workers", 1, "--out", tmp_path / "out"]
    assert "tokens to train on" in ran("data", "prepare", source, *options)
    manifest = read_manifest(tmp_path / "out")
    assert manifest.preparation["tokenizer"] == "train"  # as the source declares
    assert manifest.documents("train") + manifest.documents("validation") == len(DOCUMENTS)


@pytest.fixture
def markdown_files(markdown, tmp_path):
    (tmp_path / "in").mkdir()
    for i, text in enumerate(DOCUMENTS):
        (tmp_path / "in" / f"{i:03d}.md").write_text(f"# {text}")
    return str(tmp_path / "in")


def test_a_kind_of_file_from_outside_is_found_and_read(markdown_files):
    files = list_files([markdown_files])
    assert [piece.text for file in files for piece in read_documents(file, "text")] == DOCUMENTS


@pytest.mark.slow
def test_other_processes_get_what_is_from_outside_with_the_work(saved, markdown_files, tmp_path, monkeypatch):
    texts = {name: [piece.text.upper() for piece in read_half(name, "")] for name in ("first", "second")}

    def read(name, column):  # as in a notebook: no process can import it
        return (Piece(text, ends=True) for text in texts[name])

    SOURCES.register("loud", Source(files=halves, cards=lambda: [CARD], read=read))
    monkeypatch.setattr(plan, "TASK_BYTES", 5000)
    preparation = Preparation(("loud", markdown_files), saved, validation_fraction=0.2)
    try:
        prepare(preparation, tmp_path / "one", INLINE)
        prepare(preparation, tmp_path / "two", Executor(workers=2))
    finally:
        SOURCES.unregister("loud")
    assert len(read_manifest(tmp_path / "two").shards) > 2
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_what_is_no_source_names_those_from_outside_too(source, tmp_path):
    with pytest.raises(FileNotFoundError, match="give builtin, fineweb-edu, halves, or a file or folder"):
        list_files([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="no source is given: give builtin, fineweb-edu, halves, or files"):
        Preparation(())
