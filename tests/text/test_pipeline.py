import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.text.written import fineweb
from tokenizers import processors

from toposheet import recipes
from toposheet.text import pipeline, plan, steps
from toposheet.text.corpora import builtin_documents
from toposheet.text.documents import File, SourceError, list_files, read_documents
from toposheet.text.formats import txt
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Plan, Preparation, cut
from toposheet.text.shards import Manifest, Tokens, read_manifest
from toposheet.text.split import is_held_out, split_documents
from toposheet.text.tokenizer import load_tokenizer, read_tokenizer, train_tokenizer
from toposheet.train.batches import prepare_builtin

INLINE = Executor(workers=1)
DOCUMENTS = [f"Text {i}: the river ran past the mill, “ünïcode” and <|endoftext|> in it." for i in range(124)]
FILES, EACH = 4, 31


@pytest.fixture(scope="session")
def saved(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def source(tmp_path):
    """Four files of FineWeb-Edu's schema."""
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(FILES):
        fineweb(folder / f"{i:03d}_00000.parquet", DOCUMENTS[i * EACH : (i + 1) * EACH])
    return folder


@pytest.fixture
def each_file_a_task(monkeypatch):
    monkeypatch.setattr(plan, "TASK_BYTES", 1)


def asked(source, saved, **changes):
    return Preparation((str(source),), **{"tokenizer": saved, "validation_fraction": 0.2} | changes)


def tokens_of(folder, split):
    manifest = read_manifest(folder)
    return np.concatenate([np.fromfile(folder / shard.file, dtype=manifest.dtype) for shard in manifest.of(split)])


def documents_of(folder, split):
    """Return the documents of a split, decoded one by one."""
    tokenizer = load_tokenizer(str(folder / "tokenizer"))
    tokens = tokens_of(folder, split)
    assert tokens[-1] == tokenizer.eos_token_id
    ends = np.flatnonzero(tokens == tokenizer.eos_token_id)
    return [tokenizer.decode(part[part != tokenizer.eos_token_id]) for part in np.split(tokens, ends)[:-1]]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_document_is_in_the_split_that_its_text_decides(source, saved, tmp_path):
    manifest = prepare(asked(source, saved), tmp_path / "out", INLINE)
    train, held_out = split_documents(DOCUMENTS, 0.2, seed=0)
    assert documents_of(tmp_path / "out", "train") == train
    assert documents_of(tmp_path / "out", "validation") == held_out
    assert [manifest.documents(split) for split in ("train", "validation")] == [len(train), len(held_out)]
    assert [manifest.tokens(split) for split in ("train", "validation")] == [
        len(tokens_of(tmp_path / "out", split)) for split in ("train", "validation")
    ]
    assert manifest == read_manifest(tmp_path / "out")


def test_a_finished_folder_holds_nothing_else(source, saved, tmp_path, each_file_a_task):
    prepare(asked(source, saved), tmp_path / "out", INLINE)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    shards = {f"{split}-{i:05d}.bin" for split in ("train", "validation") for i in range(FILES)}
    assert names == shards | {"tokenizer", "manifest.json"}


def test_a_text_of_one_document_is_refused_and_leaves_no_folder(saved, tmp_path):
    (tmp_path / "a.txt").write_text("All in one. " * 50)
    with pytest.raises(ValueError, match=r"the text has 1 document, but .* divide it, for example into a .jsonl file"):
        prepare(asked(tmp_path / "a.txt", saved, validation_fraction=0.5), tmp_path / "out", INLINE)
    assert not (tmp_path / "out").exists()


def test_neither_tasks_nor_workers_nor_batches_change_the_text(source, saved, tmp_path, monkeypatch):
    prepare(asked(source, saved), tmp_path / "one", INLINE)
    monkeypatch.setattr(plan, "TASK_BYTES", 1)
    monkeypatch.setattr(steps, "BATCH", 100)
    monkeypatch.setattr(steps, "PENDING", 10)
    prepare(asked(source, saved), tmp_path / "many", INLINE)
    prepare(asked(source, saved), tmp_path / "processes", Executor(workers=2))
    for split in ("train", "validation"):
        one = Tokens(tmp_path / "one", Manifest.load(tmp_path / "one"), split)
        expected = one.blocks(np.arange(len(one)), 0)
        for other in ("many", "processes"):
            np.testing.assert_array_equal(expected.ravel(), tokens_of(tmp_path / other, split))


def test_what_looks_like_the_end_of_text_is_text(saved, tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"<|endoftext|> {i}"}) + "\n" for i in range(40)))
    manifest = prepare(asked(tmp_path / "a.jsonl", saved), tmp_path / "out", INLINE)
    end = load_tokenizer(saved).eos_token_id
    for split in ("train", "validation"):
        assert (tokens_of(tmp_path / "out", split) == end).sum() == manifest.documents(split)


def test_no_document_is_cut_padded_or_begun_by_the_tokenizers_own_habits(source, tokenizer, tmp_path):
    odd = train_tokenizer(DOCUMENTS, 300)
    odd.backend_tokenizer.enable_truncation(5)
    odd.backend_tokenizer.enable_padding(length=200)
    odd.backend_tokenizer.post_processor = processors.TemplateProcessing("<|endoftext|> $A", special_tokens=[
        ("<|endoftext|>", odd.eos_token_id)])  # fmt: skip
    odd.save_pretrained(tmp_path / "odd")
    stored = json.loads((tmp_path / "odd" / "tokenizer.json").read_text())
    assert stored["truncation"]
    assert stored["padding"]
    prepare(asked(source, str(tmp_path / "odd")), tmp_path / "out", INLINE)
    train, held_out = split_documents(DOCUMENTS, 0.2, seed=0)
    assert documents_of(tmp_path / "out", "train") == train
    assert documents_of(tmp_path / "out", "validation") == held_out


def test_a_large_vocabulary_takes_four_bytes(source, tmp_path, saved):
    model = json.loads((Path(saved) / "tokenizer.json").read_text())["model"]
    vocabulary = {f"filler {i}": i for i in range(2**16)} | {t: i + 2**16 for t, i in model["vocab"].items()}
    large = tmp_path / "large"
    large.mkdir()
    (large / "encoder.json").write_text(json.dumps(vocabulary))
    (large / "vocab.bpe").write_text("\n".join(" ".join(merge) for merge in model["merges"]))
    manifest = prepare(asked(source, str(large)), tmp_path / "out", INLINE)
    assert (manifest.dtype, manifest.vocabulary) == ("uint32", 2**16 + 300)
    assert documents_of(tmp_path / "out", "train") == split_documents(DOCUMENTS, 0.2, seed=0)[0]


def test_records_without_text_are_counted(saved, tmp_path):
    lines = [json.dumps({"text": text}) for text in [*DOCUMENTS, "", "", ""]]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    said = []
    manifest = prepare(asked(tmp_path / "a.jsonl", saved), tmp_path / "out", INLINE, say=said.append)
    assert manifest.empty_records == 3
    assert manifest.documents("train") + manifest.documents("validation") == len(DOCUMENTS)
    assert "3 records without text left out" in said[-1]


def test_white_space_is_no_text_in_any_format(saved, tmp_path):
    lines = [json.dumps({"text": text}) for text in [*DOCUMENTS, " \n", "\t"]]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("\n \n")
    manifest = prepare(asked(tmp_path, saved), tmp_path / "out", INLINE)
    assert manifest.empty_records == 3
    assert manifest.documents("train") + manifest.documents("validation") == len(DOCUMENTS)


def test_files_without_any_text_are_refused_as_such(saved, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(" \n")
    with pytest.raises(ValueError, match="the files hold no text: give files with at least two documents"):
        prepare(asked(tmp_path / "texts", saved), tmp_path / "out", INLINE)
    assert not (tmp_path / "out").exists()


def test_a_document_in_pieces_is_one_document(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(txt, "LONGEST", 100)
    texts = ["\n".join(DOCUMENTS[i : i + 6]) for i in range(0, 120, 6)]
    (tmp_path / "a.txt").write_text("\n<|endoftext|>\n".join(text.replace("<|endoftext|>", "") for text in texts))
    manifest = prepare(asked(tmp_path / "a.txt", saved), tmp_path / "out", INLINE)
    assert manifest.documents("train") + manifest.documents("validation") == 20
    result = documents_of(tmp_path / "out", "train") + documents_of(tmp_path / "out", "validation")
    assert sorted(result) == sorted(text.replace("<|endoftext|>", "") for text in texts)


def test_a_tokenizer_is_trained_on_the_training_side_alone(source, tmp_path):
    manifest = prepare(asked(source, None, tokenizer="train", vocabulary=300), tmp_path / "out", INLINE)
    expected = train_tokenizer(split_documents(DOCUMENTS, 0.2, seed=0)[0], 300)
    assert read_tokenizer(tmp_path / "out", manifest).get_vocab() == expected.get_vocab()
    assert manifest.vocabulary == 300


def test_a_tokenizer_is_trained_on_a_bounded_sample_of_every_file(source, monkeypatch):
    monkeypatch.setattr(pipeline, "SAMPLE", 400)
    preparation = asked(source, None, tokenizer="train")
    tasks = [[file] for file in list_files(preparation.sources)]
    sample = list(pipeline._sample(preparation, tasks))
    assert [DOCUMENTS.index(text) // EACH for text in sample] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not any(is_held_out(text, 0.2, 0) for text in sample)


@pytest.mark.slow
def test_the_built_in_text_goes_the_same_way(tmp_path):
    recipe = recipes.named("tiny")
    prepare_builtin(tmp_path / "out", recipe)
    train, held_out = split_documents(builtin_documents(), recipe.bookkeeping.validation_fraction, recipe.seed)
    assert documents_of(tmp_path / "out", "validation") == held_out
    manifest = read_manifest(tmp_path / "out")
    assert manifest.documents("train") == len(train)
    assert manifest.vocabulary == recipe.model.vocabulary
    assert [entry["name"] for entry in manifest.corpora] == ["encyclopedia", "bible"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    prepare_builtin(tmp_path / "out", recipe)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    with pytest.raises(ValueError, match="seed is 0 there, but 1 now"):
        prepare_builtin(tmp_path / "out", recipes.named("tiny", seed=1))


def test_a_finished_folder_is_left_as_it_is_and_says_so(source, saved, tmp_path):
    prepare(asked(source, saved), tmp_path / "out", INLINE)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    said = []
    prepare(asked(source, saved), tmp_path / "out", INLINE, say=said.append)
    assert "is prepared already" in said[0]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    for path in source.iterdir():
        path.unlink()
    source.rmdir()
    assert prepare(asked(source, saved), tmp_path / "out", INLINE)  # the source is needed no longer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 there, but 1 now"),
        ({"validation_fraction": 0.3}, "validation_fraction is 0.2 there, but 0.3 now"),
        ({"tokenizer": "gpt2"}, "tokenizer is .* there, but gpt2 now"),
        ({"text_column": "url"}, "text_column is text there, but url now"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_by_name_and_change_nothing(
    source, saved, tmp_path, changes, message, finished, monkeypatch
):
    if finished:
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    else:
        interrupt(source, saved, tmp_path / "out", monkeypatch)
    before = contents(tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        prepare(asked(source, saved, **changes), tmp_path / "out", INLINE)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("finished", [True, False])
def test_files_that_have_changed_are_noticed(source, saved, tmp_path, finished, monkeypatch):
    if finished:
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    else:
        interrupt(source, saved, tmp_path / "out", monkeypatch)
    fineweb(source / "009_00000.parquet", DOCUMENTS[:3])
    with pytest.raises(
        ValueError, match=r"files and bytes are \(4, \d+\) there, but \(5" if finished else r"009_00000.parquet"
    ):
        prepare(asked(source, saved), tmp_path / "out", INLINE)


def interrupt(source, saved, out, monkeypatch, after=2):
    """Begin to prepare a source, and fail in the middle of one of its files."""
    monkeypatch.setattr(plan, "TASK_BYTES", 1)

    def failing(file, column):
        for i, piece in enumerate(read_documents(file, column)):
            if file.path.endswith(f"{after:03d}_00000.parquet") and i == 10:
                raise OSError("the disk is gone")
            yield piece

    with monkeypatch.context() as patch:
        patch.setattr(plan, "read_documents", failing)
        with pytest.raises(OSError, match="the disk is gone"):
            prepare(asked(source, saved), out, INLINE)


def test_interrupted_work_goes_on_with_the_finished_tasks_kept(source, saved, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupt(source, saved, out, monkeypatch)
    with pytest.raises(FileNotFoundError, match="no prepared text"):
        read_manifest(out)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.bin")}
    assert {path.name[-9:] for path in finished} == {"00000.bin", "00001.bin"}
    assert not list(out.glob(".writing-*"))
    prepare(asked(source, saved), out, INLINE)
    assert finished == {path: path.stat().st_mtime_ns for path in finished}
    prepare(asked(source, saved), tmp_path / "whole", INLINE)
    assert contents(out) == contents(tmp_path / "whole")


def test_what_a_killed_task_left_behind_is_removed(source, saved, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupt(source, saved, out, monkeypatch)
    left_over = out / ".writing-00002-abc"
    left_over.mkdir()
    (left_over / "train-00002.bin").write_bytes(b"half")
    (out / "train-00002.bin").write_bytes(b"moved, but not recorded")
    prepare(asked(source, saved), out, INLINE)
    prepare(asked(source, saved), tmp_path / "whole", INLINE)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_killed_after_its_manifest_is_finished(source, saved, tmp_path):
    out = tmp_path / "out"
    prepare(asked(source, saved), out, INLINE)
    before = contents(out)
    (out / ".work" / "completions").mkdir(parents=True)
    prepare(asked(source, saved), out, INLINE)
    assert contents(out) == before
    assert not (out / ".work").exists()


def test_a_folder_killed_before_its_plan_begins_anew(source, saved, tmp_path):
    (tmp_path / "out" / ".work").mkdir(parents=True)
    (tmp_path / "out" / "tokenizer").mkdir()
    assert prepare(asked(source, saved), tmp_path / "out", INLINE)


def test_a_folder_of_other_things_is_refused(source, saved, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files, such as notes.txt: choose an empty or a new folder"):
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    assert contents(tmp_path / "out") == {(tmp_path / "notes.txt").relative_to(tmp_path): b"mine"}


@pytest.mark.parametrize(
    ("fraction", "message"),
    [(1e-9, "the validation split has no document .124 documents in total.*: raise it, .* --validation-fraction 0.08$"),
     (1 - 1e-9, "the train split has no document .124 documents in total.*: lower it, .* --validation-fraction 0.05$")],
)  # fmt: skip
def test_an_empty_split_is_refused_and_can_be_asked_for_anew(source, saved, tmp_path, fraction, message):
    with pytest.raises(ValueError, match=message):
        prepare(asked(source, saved, validation_fraction=fraction), tmp_path / "out", INLINE)
    assert prepare(asked(source, saved), tmp_path / "out", INLINE)


def test_a_damaged_source_is_one_line_and_quiet(saved, tmp_path, capfd):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"text"\n')
    with pytest.raises(SourceError, match=r"a.jsonl, line 2: not a JSON record"):
        prepare(asked(tmp_path / "a.jsonl", saved), tmp_path / "out", INLINE)
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_says_what_to_install(source, saved, tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    for package in ("datatrove", "pyarrow"):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, p=package: None if name == p else find_spec(name))
        with pytest.raises(FileNotFoundError, match=rf"needs the package {package}: pip install 'toposheet\[data\]'"):
            prepare(asked(source, saved), tmp_path / "out", INLINE)
    assert not (tmp_path / "out").exists()


def test_prepared_text_is_read_without_the_packages_that_prepare_it(source, saved, tmp_path):
    prepare(asked(source, saved), tmp_path / "out", INLINE)
    code = (
        "import sys; from pathlib import Path\n"
        "for name in ('datatrove', 'pyarrow', 'loguru', 'dill', 'multiprocess'): sys.modules[name] = None\n"
        "import toposheet.text.pipeline, toposheet.text.tokenizer\n"
        "from toposheet.text.blocks import Blocks\nfrom toposheet.text.shards import read_manifest\n"
        f"text = Path({str(tmp_path / 'out')!r}); read_manifest(text)\n"
        "assert Blocks(text, context=8, seed=0).train(0, 3).shape == (3, 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_files_are_cut_into_tasks_in_order_and_no_more_than_are_worth_it(monkeypatch):
    files = [File(str(i), size) for i, size in enumerate([2, 9, 12, 1, 1, 1, 8, 3])]
    monkeypatch.setattr(plan, "TASK_BYTES", 10)
    assert [[file.size for file in task] for task in cut(files)] == [[2, 9], [12], [1, 1, 1, 8], [3]]
    many = cut([File(str(i), 10) for i in range(100_000)])
    assert 900 < len(many) <= plan.MAX_TASKS
    assert [file.path for task in many for file in task] == [str(i) for i in range(100_000)]


def test_a_plan_comes_back(tmp_path):
    (tmp_path / ".work").mkdir()
    kept = Plan(Preparation(("a", "builtin"), licence="CC0"), ((File("/a", 3),), (File("/b", 4),)), 7, 300)
    kept.save(tmp_path)
    assert Plan.load(tmp_path) == kept


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": ()}, "no source is given"),
        ({"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ({"seed": -1}, "seed is -1"),
        ({"tokenizer": "train", "vocabulary": 12}, "vocabulary is 12"),
        ({"vocabulary": 500}, "vocabulary is 500, but the tokenizer gpt2 already has a vocabulary"),
    ],
)
def test_settings_that_no_preparation_can_have_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Preparation(**{"sources": ("a.txt",)} | settings)


def test_the_built_in_text_trains_its_tokenizer_and_other_text_takes_gpt2s():
    assert (Preparation(("builtin",)).tokenizer, Preparation(("builtin",)).vocabulary) == ("train", 4096)
    assert Preparation(("builtin", "a.txt")).tokenizer == "gpt2"
