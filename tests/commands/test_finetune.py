import re

import pandas as pd
import pytest
from tests.finetuning.conftest import sentiment, write_rows
from tests.finetuning.made_up import write

import toposheet as ts
from toposheet.finetuning import FINETUNINGS, SCORE_DIFFERENCES, SCORES, predictions_table
from toposheet.results import read_facts

QUICK = ["--learning-rate", "1e-2", "--batch", "8", "--micro-batch", "8", "--updates", "6", "--validate-every", "3"]

pytestmark = pytest.mark.usefixtures("cache")


def test_a_model_beside_its_control_leaves_tables_figures_and_models(ran, tmp_path, folder, control, sst2):
    out = tmp_path / "out"
    printed = ran("finetune", folder, "--control", control, "--tasks", "sst2", "--path", sst2, "--out", out, *QUICK)
    one, other = (ts.load_finetuned(out / name) for name in ("sst2", "sst2-control"))
    assert one.finetunings["alpha"].tolist() == [2.5]
    assert other.finetunings["alpha"].tolist() == [0]
    scores = pd.concat([one.scores, other.scores], ignore_index=True)
    pd.testing.assert_frame_equal(SCORES.read(out), scores)
    assert scores["model"].tolist() == ["model", "control"]
    assert len(predictions_table("sst2").read(out)) == 50
    assert len(FINETUNINGS.read(out)) == 2
    row = SCORE_DIFFERENCES.read(out).iloc[0]
    assert row["difference"] == pytest.approx(scores["value"][0] - scores["value"][1])
    assert row["low"] <= row["difference"] <= row["high"]
    assert re.search(rf"sst2 +model +accuracy +25 +{scores['value'][0]:.3f} ", printed)
    assert "the score of model minus that of control on the same examples is " in " ".join(printed.split())
    assert sorted(path.name for path in (out / "figures").glob("*.png")) == ["losses-sst2.png", "scores.png"]
    facts = read_facts(out)
    assert facts["settings"]["updates"] == 6
    assert facts["models"]["model"] == ts.load(folder).fingerprint
    again = ran("finetune", folder, "--control", control, "--tasks", "sst2", "--path", sst2, "--out", out, *QUICK)
    assert again == printed


def test_several_tasks_are_read_from_folders_of_their_names(ran, tmp_path, folder, sst2):
    write(sst2.parent / "rte", 30, 10)
    out = tmp_path / "out"
    printed = ran("finetune", folder, "--tasks", "sst2", "rte", "--path", sst2.parent, "--out", out, *QUICK)
    values = SCORES.read(out)["value"]
    assert f"The mean over 2 tasks is {values.mean():.3f} (model)." in printed
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"sst2", "rte", "figures"}
    assert not (out / SCORE_DIFFERENCES.file).exists()


def test_both_splits_of_mnli_have_a_row_and_count_as_one_task(ran, tmp_path, folder, sst2):
    rows = [{"premise": "the river", "hypothesis": "a mill", "label": i % 3, "idx": i} for i in range(12)]
    for split in ("train", "validation_matched", "validation_mismatched"):
        write_rows(tmp_path / "glue" / "mnli" / f"{split}.jsonl", rows)
    write_rows(tmp_path / "glue" / "cola" / "train.jsonl", sentiment(20))
    write_rows(tmp_path / "glue" / "cola" / "validation.jsonl", sentiment(10))
    printed = ran("finetune", folder, "--tasks", "mnli", "cola", "--path", tmp_path / "glue", "--out", tmp_path / "out",
                  *QUICK)  # fmt: skip
    scores = SCORES.read(tmp_path / "out")
    assert scores["split"].tolist() == ["validation_matched", "validation_mismatched", "validation"]
    assert "mnli matched" in printed
    assert "mnli mismatched" in printed
    assert f"tasks is {(scores['value'][:2].mean() + scores['value'][2]) / 2:.3f} (model)." in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--tasks", "sst-2"], ["no GLUE task 'sst-2'", "Did you mean sst2?"]),
        (["--tasks"], ["--tasks names no task"]),
        (["--path", "nowhere"], ["nowhere does not exist: give the folder of sst2"]),
        (["--tasks", "sst2", "rte"], ["has no folder"]),
        (["--alpha", "-1"], ["--alpha is -1"]),
        (["--batch", "7"], ["--batch is 7 and --micro-batch is 8"]),
        (["--dropout", "2"], ["--dropout is 2"]),
        (["--control", "MODEL"], ["is the model itself"]),
    ],
)
def test_mistakes_are_one_line(refused, tmp_path, folder, sst2, change, words):
    arguments = {"--tasks": ["sst2"], "--path": [sst2], "--out": [tmp_path / "out"]} | {"--micro-batch": ["8"]}
    arguments |= {change[0]: [str(folder) if value == "MODEL" else value for value in change[1:]]}
    said = refused("finetune", folder, *(word for name, values in arguments.items() for word in (name, *values)))
    assert all(word in said for word in words), said
    assert not (tmp_path / "out").exists()
