import re

import pandas as pd

import toposheet as ts
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS


def test_models_are_compared_in_groups(ran, tmp_path, folder, sentences, model, tokenizer):
    ts.save(tmp_path / "other", ts.Subject(model, ts.Topography.per_tap(model, seed=5), tokenizer))
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--out", tmp_path / "out"]
    printed = ran("compare", f"a={folder}", f"a={tmp_path / 'other'}", f"b={folder}", *arguments)
    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert set(table["group"]) == {"a", "b"}
    assert table.set_index("group").loc["a", "n_models"].eq(2).all()
    assert table.loc[table["group"] == "b", "difference"].notna().all()
    assert table["random-labels"].notna().all()
    assert "significant_fraction" in printed
    assert (tmp_path / "out" / "figures" / "compare.pdf").is_file()


def test_it_prints_the_negative_controls_that_were_made_and_always_the_difference(ran, tmp_path, folder, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5"]
    printed = {
        name: ran("compare", folder, *arguments, *options, "--out", tmp_path / name).splitlines()[0].split()
        for name, options in (("with", []), ("without", ["--no-negative-controls"]))
    }
    columns = ["contrast", "statistic", "group", "n_models", "value", "low", "high", "null_mean", "label_null_mean"]
    difference = ["difference", "difference_low", "difference_high"]
    assert printed["without"] == [*columns, *difference]
    assert printed["with"][: len(columns) + 1] == [*columns, "random-labels"]
    assert printed["with"][-3:] == difference
    assert set(printed["with"]) - {*columns, *difference} <= set(NEGATIVE_CONTROLS)


def test_few_models_are_said_to_give_too_narrow_intervals(ran, tmp_path, folder, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--no-negative-controls"]
    printed = ran("compare", f"a={folder}", *arguments, "--out", tmp_path / "out")
    assert re.search(r"^Fewer than 10 models in a: intervals there are too narrow", printed, re.MULTILINE)
