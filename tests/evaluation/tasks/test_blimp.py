import json

import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet.errors import NotFound
from toposheet.evaluation import TASKS, Item

BLIMP = TASKS["blimp"]
ITEM = Item(("syntax", "number", "agreement"), "0", ())


def test_the_grammatical_sentence_must_have_the_higher_log_probability():
    assert BLIMP.outcome(ITEM, np.array([-3.0, -4.0])) == {"good": -3, "bad": -4, "value": 1}
    assert BLIMP.outcome(ITEM, np.array([-4.0, -3.0]))["value"] == 0
    assert BLIMP.outcome(ITEM, np.array([-3.0, -3.0]))["value"] == 0.5


def test_the_values_are_those_of_scores_of_the_sentences(subject, blimp):
    items = ts.evaluate(subject, "blimp", path=blimp)
    rows = [json.loads(line) for file in sorted(blimp.glob("*")) for line in file.read_text().splitlines()]
    for name in ("good", "bad"):
        np.testing.assert_allclose(items[name], ts.score(subject, [row[f"sentence_{name}"] for row in rows]), rtol=1e-6)
    np.testing.assert_array_equal(items["value"], items["good"] > items["bad"])
    assert items["paradigm"].tolist() == [row["UID"] for row in rows]
    assert items["phenomenon"].tolist() == [row["linguistics_term"] for row in rows]
    assert items["item"].tolist() == [row["pairID"] for row in rows]
    assert set(items["field"]) == {"syntax", "syntax_semantics"}


def test_one_file_and_the_parquet_files_of_the_hub_hold_the_same_items(blimp, tmp_path):
    jsonl = BLIMP.read(blimp)
    hub = tmp_path / "hub"
    for file in blimp.glob("*.jsonl"):
        table = pd.read_json(file, lines=True, dtype={"pairID": int}).rename(columns={"pairID": "pair_id"})
        (hub / file.stem).mkdir(parents=True)
        table.to_parquet(hub / file.stem / "train-00000-of-00001.parquet")
    for one, other in zip(jsonl, BLIMP.read(hub), strict=True):
        assert (one.groups, one.name) == (other.groups, other.name)
        assert [request.text for request in one.requests] == [request.text for request in other.requests]
    assert len(BLIMP.read(blimp / "gender.jsonl")) == 8


def test_without_a_path_the_files_are_those_of_toposheet_data_or_of_the_hub(blimp, monkeypatch, tmp_path):
    monkeypatch.setenv("TOPOSHEET_DATA", str(blimp.parent))
    assert len(BLIMP.read(None)) == 24
    monkeypatch.setenv("TOPOSHEET_DATA", str(tmp_path / "elsewhere"))
    asked = []

    def snapshot_download(name, **options):
        asked.append((name, options["repo_type"]))
        return str(blimp)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert len(BLIMP.read(None)) == 24
    assert asked == [("nyu-mll/blimp", "dataset")]


def test_without_network_the_error_says_that_a_folder_can_be_given(monkeypatch):
    monkeypatch.delenv("TOPOSHEET_DATA", raising=False)

    def snapshot_download(name, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(NotFound, match=r"no network.*--path DIR"):
        BLIMP.read(None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"sentence_good": "A', r"gender\.jsonl, line 3 is no JSON"),
        ("[1, 2]", r"gender\.jsonl, line 3 has no text 'sentence_good'"),
        ('{"sentence_good": "A cat.", "sentence_bad": 3}', r"line 3 has no text 'sentence_bad'"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_line(blimp, broken_line, line, message):
    broken_line(line)
    with pytest.raises(ts.UserError, match=message):
        BLIMP.read(blimp)


def test_an_empty_sentence_is_refused_by_file_and_line(subject, blimp, broken_line):
    row = json.loads((blimp / "gender.jsonl").read_text().splitlines()[2])
    broken_line(json.dumps(row | {"sentence_bad": ""}))
    with pytest.raises(ts.UserError, match=r"gender\.jsonl, line 3, sentence_bad has no tokens"):
        ts.evaluate(subject, "blimp", path=blimp)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(NotFound, match="does not exist"):
        BLIMP.read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"holds no \.jsonl"):
        BLIMP.read(tmp_path / "empty")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(ts.UserError, match=r"broken\.parquet cannot be read"):
        BLIMP.read(tmp_path / "broken.parquet")
    (tmp_path / "broken.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ts.UserError, match=r"broken\.jsonl is no UTF-8 text"):
        BLIMP.read(tmp_path / "broken.jsonl")
