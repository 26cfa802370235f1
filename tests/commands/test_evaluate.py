import json
import re

import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet.evaluation import ACCURACY, ACCURACY_DIFFERENCE, items_table
from toposheet.results import read_facts

pytestmark = pytest.mark.usefixtures("cache")


def test_it_leaves_tables_and_a_figure_and_prints_accuracies(ran, tmp_path, folder, blimp):
    out = tmp_path / "out"
    printed = ran("evaluate", folder, "--path", blimp, "--out", out)
    expected = ts.evaluate(ts.load(folder), "blimp", path=blimp)
    items = items_table("blimp").read(out)
    pd.testing.assert_frame_equal(items, expected)
    pd.testing.assert_frame_equal(ACCURACY.read(out), ts.accuracy(expected))
    accuracy = ts.accuracy(expected)["accuracy"][0]
    assert re.search(rf"blimp +all +model +24 +{accuracy:.1%} ", printed)
    assert 0 < accuracy < 1
    assert (out / "figures" / "accuracy-blimp.png").is_file()
    assert not (out / ACCURACY_DIFFERENCE.file).exists()
    facts = read_facts(out)
    assert facts["models"]["model"]["fingerprint"] == ts.load(folder).fingerprint
    assert facts["tasks"] == ["blimp"]


def test_with_a_control_the_items_are_compared_in_pairs(ran, tmp_path, folder, control, blimp):
    out = tmp_path / "out"
    printed = ran("evaluate", folder, "--control", control, "--path", blimp, "--limit", "4", "--out", out)
    one, other = (ts.evaluate(ts.load(name), "blimp", path=blimp, limit=4) for name in (folder, control))
    table = ACCURACY_DIFFERENCE.read(out)
    pd.testing.assert_frame_equal(table, ts.accuracy_difference(one, other))
    assert "the accuracy of model minus that of control on the same items is " in printed
    assert items_table("blimp").read(out)["model"].tolist() == ["model"] * 12 + ["control"] * 12
    ran("evaluate", folder, "--path", blimp, "--out", out)
    assert not (out / ACCURACY_DIFFERENCE.file).exists()  # it would not match the new results


def test_models_with_one_name_are_told_apart(ran, tmp_path, folder, control, blimp):
    (tmp_path / "b").mkdir()
    control.rename(tmp_path / "b" / "model")
    ran("evaluate", folder, "--control", tmp_path / "b" / "model", "--path", blimp, "--out", tmp_path / "out")
    assert set(ACCURACY.read(tmp_path / "out")["model"]) == {"model", "model (2)"}


def test_finished_paradigms_are_not_scored_again(ran, tmp_path, folder, blimp, monkeypatch):
    first = ran("evaluate", folder, "--path", blimp, "--out", tmp_path / "out")
    monkeypatch.setattr("toposheet.subject.log_probabilities.span_sums", lambda *_: pytest.fail("scored again"))
    assert ran("evaluate", folder, "--path", blimp, "--out", tmp_path / "out") == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "blipm"], "there is no task 'blipm'. Did you mean blimp?"),
        (["--path", "nowhere"], "nowhere does not exist"),
        (["--limit", "0"], "limit is 0"),
        (["--tasks", "blimp", "syntaxgym", "--path", "."], "--path is the place of the items of one task"),
        (["--control", "nowhere"], "nowhere"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(refused, tmp_path, folder, arguments, message):
    assert message in refused("evaluate", folder, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_files_and_wrong_bos_are_refused(refused, tmp_path, folder, blimp, broken_line):
    arguments = ["evaluate", folder, "--path", blimp, "--out", tmp_path / "out"]
    assert "has no such token" in refused(*arguments, "--bos", "<start>")
    file = broken_line(json.dumps({"sentence_good": "A cat."}))
    assert f"{file}, line 3 has no text 'sentence_bad'" in refused(*arguments)
    file.unlink()
    for other in blimp.iterdir():
        other.unlink()
    assert "holds no .jsonl" in refused(*arguments)
    assert not (tmp_path / "out").exists()


def test_a_model_that_computes_nan_is_refused(refused, tmp_path, folder, blimp):
    subject = ts.load(folder)
    subject.model.transformer.h[0].mlp.c_fc.weight.data[0] = np.nan
    ts.save(folder, subject)
    assert "is not a finite number" in refused("evaluate", folder, "--path", blimp, "--out", tmp_path / "out")
