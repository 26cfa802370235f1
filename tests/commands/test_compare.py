import re

import pandas as pd
import pytest

import toposheet as ts


@pytest.mark.slow
def test_models_are_compared_in_groups(ran, tmp_path, folder, sentences, model, tokenizer):
    ts.save(tmp_path / "other", ts.Subject(model, ts.Topography.per_tap(model, seed=5), tokenizer))
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--out", tmp_path / "out"]
    printed = ran("compare", f"a={folder}", f"a={tmp_path / 'other'}", f"b={folder}", *arguments)
    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert set(table["group"]) == {"a", "b"}
    assert table.set_index("group").loc["a", "n_models"].eq(2).all()
    assert table.loc[table["group"] == "b", "difference"].notna().all()
    assert table["random-labels"].notna().all()
    assert "negative controls of S:N" in printed
    verdict = r"S:N, a: \d of 2 models have significant units; whether .* not tested: with 5 draws"
    assert re.search(verdict, " ".join(printed.split()))
    assert (tmp_path / "out" / "figures" / "compare.pdf").is_file()


@pytest.mark.slow
def test_it_prints_every_readout_and_the_negative_controls_that_were_made(ran, tmp_path, folder, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--fwhm-mm", "2", "3"]
    for name, options in (("with", []), ("without", ["--no-negative-controls"])):
        printed = ran("compare", folder, *arguments, *options, "--out", tmp_path / name).splitlines()
        printed = [line for line in printed if not line.startswith("note: ")]  # a note names the file
        assert max(map(len, printed[:-1])) <= 100  # the last has a path
        assert printed[1].split()[:4] == ["read-", "statistic", "group", "mod-"]
        readouts = [line[:5].strip() for line in printed if " Moran's I " in line]
        assert readouts == ["raw", "2 mm", "3 mm"] * (2 if name == "with" else 1)
        table = printed[: next(i for i, line in enumerate(printed) if line.startswith("Verdicts"))]
        assert any(" random " in line for line in table) == (name == "with")


def test_a_group_with_one_model_has_no_interval_and_the_command_says_so(ran, tmp_path, folder, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--no-negative-controls"]
    printed = ran("compare", f"a={folder}", *arguments, "--out", tmp_path / "out")
    assert "\nreading: mean over tokens, no token before each text\n" in printed
    assert re.search(
        r"^a: one model, so no interval\. An interval says what other training runs", printed, re.MULTILINE
    )
    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert table["value"].notna().any()
    assert table[["low", "high"]].isna().all(axis=None)


def test_a_model_that_is_given_twice_is_refused_before_stimuli_are_made(refused, tmp_path, folder, monkeypatch):
    monkeypatch.setattr("toposheet.stimuli.studies.synthetic_battery", None)
    assert "is given twice: give each model once" in refused("compare", folder, folder, "--out", tmp_path / "out")
