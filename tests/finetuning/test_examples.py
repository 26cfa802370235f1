import json

import pandas as pd
import pytest
from tests.finetuning.conftest import write_rows

from toposheet.errors import NotFound, UserError
from toposheet.finetuning.examples import check_folders, read_examples
from toposheet.finetuning.glue import GLUE, glue_task

PAIRS = [
    {"sentence1": 'She said "no", twice.', "sentence2": "Nobody\tsaid yes.", "label": 0, "idx": 0},
    {"sentence1": "A road, long.", "sentence2": "The road is\nlong.", "label": 1, "idx": 1},
]


def write(folder, split, ending, rows=PAIRS):
    folder.mkdir(parents=True, exist_ok=True)
    table, path = pd.DataFrame(rows), folder / f"{split}{ending}"
    if ending == ".parquet":
        table.to_parquet(path)
    elif ending == ".jsonl":
        write_rows(path, rows)
    else:
        table.to_csv(path, sep="\t" if ending == ".tsv" else ",", index=False)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv", ".tsv"])
def test_every_format_gives_the_same_examples(tmp_path, ending):
    for split in ("train", "validation"):
        write(tmp_path, split, ending)
    examples = read_examples("rte", tmp_path)
    for of_split in (examples.train, examples.validation["validation"]):
        assert [example.texts for example in of_split] == [(row["sentence1"], row["sentence2"]) for row in PAIRS]
        assert [example.label for example in of_split] == [0, 1]
        assert [example.name for example in of_split] == ["0", "1"]


def test_the_files_of_the_hub_are_read_in_order_and_from_the_folder_of_the_task(tmp_path):
    for number, row in enumerate(PAIRS):
        write(tmp_path / "rte", f"train-0000{number}-of-00002", ".parquet", [row])
    write(tmp_path / "rte", "validation", ".parquet")
    write(tmp_path / "rte", "test", ".parquet", [PAIRS[0] | {"label": -1}])
    assert [example.name for example in read_examples("rte", tmp_path).train] == ["0", "1"]


def test_mnli_has_two_splits_for_validation(tmp_path):
    rows = [{"premise": "a", "hypothesis": "b", "label": 2}]
    for split in ("train", "validation_matched", "validation_mismatched"):
        write(tmp_path, split, ".jsonl", rows)
    assert list(read_examples("mnli", tmp_path).validation) == ["validation_matched", "validation_mismatched"]


def test_the_similarity_of_stsb_is_a_number(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path, split, ".csv", [PAIRS[0] | {"label": 3.75}])
    assert read_examples("stsb", tmp_path).train[0].label == 3.75


@pytest.mark.parametrize("label", [-0.5, 9.0, "nan"])
def test_a_similarity_of_stsb_is_from_0_to_5(tmp_path, label):
    for split in ("train", "validation"):
        row = {"sentence1": "a", "sentence2": "b", "label": label}
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=r"line 1 has the label .*: it must be a number from 0 to 5"):
        read_examples("stsb", tmp_path)


def test_the_tasks_are_those_of_glue():
    columns = {name: task.columns for name, task in GLUE.items()}
    assert len(columns) == 9
    assert columns["qnli"] == ("question", "sentence")
    assert [name for name, task in GLUE.items() if task.is_regression] == ["stsb"]
    assert {name: task.n_outputs for name, task in GLUE.items() if task.n_outputs != 2} == {"stsb": 1, "mnli": 3}
    with pytest.raises(UserError, match=r"no GLUE task 'sst-2'; choose from: cola, sst2.* Did you mean sst2\?"):
        glue_task("sst-2")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sentence1": "a", "label": 0}, ["train.jsonl, line 3 has no 'sentence2'", "sentence1, sentence2, label"]),
        ({"sentence1": "a", "sentence2": "b"}, ["line 3 has no 'label'"]),
        ({"sentence1": "a", "sentence2": 7, "label": 0}, ["line 3 has the text 7, which is a int"]),
        (
            {"sentence1": "a", "sentence2": "b", "label": -1},
            ["line 3 has the label -1", "remove the row"],
        ),
        ({"sentence1": "a", "sentence2": "b", "label": 2}, ["line 3 has the label 2", "0 (entailment), 1 (not_ent"]),
        ({"sentence1": "a", "sentence2": "b", "label": "yes"}, ["line 3 has the label 'yes'"]),
        ([1, 2], ["line 3 has no 'sentence1'"]),
        ({"sentence1": " ", "sentence2": "b", "label": 0}, ["line 3 has an empty 'sentence1'"]),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, words):
    write(tmp_path, "validation", ".jsonl")
    lines = [json.dumps(one) for one in (*PAIRS, row)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError) as refused:
        read_examples("rte", tmp_path)
    assert all(word in str(refused.value) for word in words), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("ending", "content", "words"),
    [
        (".jsonl", json.dumps(PAIRS[0]) + "\n{", "line 2 is no JSON"),
        (".csv", "sentence1,sentence2,label\na,b\n", "line 2 has 2 values, but there are 3 columns"),
        (".tsv", 'sentence1\tsentence2\tlabel\n"a" b\tc\t0\n', "line 2 cannot be read"),
        (".parquet", "no parquet", "cannot be read"),
        (".jsonl", "", "has no examples"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, ending, content, words):
    write(tmp_path, "validation", ".jsonl")
    (tmp_path / f"train{ending}").write_text(content)
    with pytest.raises(UserError, match=rf"train{ending}.*{words}"):
        read_examples("rte", tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"nowhere does not exist: give the folder of rte"):
        read_examples("rte", tmp_path / "nowhere")
    write(tmp_path, "train", ".jsonl")
    with pytest.raises(NotFound, match=r"has no validation examples: give a folder with validation\.parquet, .*tsv"):
        read_examples("rte", tmp_path)
    write(tmp_path, "train", ".csv")
    with pytest.raises(UserError, match=r"train examples in several formats \(\.csv, \.jsonl\): keep one"):
        read_examples("rte", tmp_path)
    with pytest.raises(NotFound, match="has no folder rte: for several tasks"):
        check_folders(["rte", "wnli"], tmp_path)


def test_without_a_path_the_data_folder_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_DATA", str(tmp_path))
    for split in ("train", "validation"):
        write(tmp_path / "glue" / "rte", split, ".jsonl")
    assert len(read_examples("rte").train) == 2
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(NotFound, match=r"can also be given with --path DIR"):
        read_examples("wnli")
