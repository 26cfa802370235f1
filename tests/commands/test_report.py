import html
import json
import re
import shutil

import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts
from toposheet.model_folders import SHIPPED


@pytest.mark.slow
def test_it_takes_ones_own_stimuli_and_needs_no_control(ran, tmp_path, folder, table):
    out = tmp_path / "out"
    ran("report", folder, "--stimuli", table, "--contrast", "long:short", "--permutations", "9", "--out", out)
    assert "cross-half I" in (out / "report.html").read_text()


@pytest.mark.slow
def test_in_the_folder_of_another_models_it_is_that_of_its_own_model(ran, tmp_path, folder, sentences, topo, tokenizer):
    torch.manual_seed(1)
    other = GPT2LMHeadModel(GPT2Config.from_pretrained(folder))
    ts.save(tmp_path / "other", ts.Subject(other, topo, tokenizer))
    arguments = ["--stimuli", sentences, "--permutations", "5", "--out"]
    ran("report", folder, "--contrast", "S:N", "W:J", *arguments, tmp_path / "both")
    for out in ("both", "fresh"):
        ran("report", tmp_path / "other", "--contrast", "W:N", *arguments, tmp_path / out)
    both, fresh = ({p.relative_to(tmp_path / out) for p in (tmp_path / out).rglob("*")} for out in ("both", "fresh"))
    assert both == fresh
    for name in ("summary.csv", "statistics.csv", "clusters.csv", "analysis.json", "texts.csv"):
        assert (tmp_path / "both" / name).read_text() == (tmp_path / "fresh" / name).read_text()


def test_it_is_made_with_the_settings_asked_for_and_says_so(ran, tmp_path, folder, sentences):
    out = tmp_path / "report"
    options = {"--pooling": "last", "--inference": "tfce", "--contiguity": "rook", "--min-size": "3", "--seed": "7"}
    options |= {"--permutations": "5", "--fwhm-mm": "1.5", "--where": "keep=yes"}
    table = pd.read_csv(sentences)
    table.assign(keep=["no", *["yes"] * (len(table) - 1)]).to_csv(tmp_path / "kept.csv", index=False)
    options |= {"--bos": "<|endoftext|>"}
    arguments = [*(text for option in options.items() for text in option), "--skip-first"]
    ran("report", folder, "--stimuli", tmp_path / "kept.csv", "--contrast", "S:N", *arguments,
        "--no-negative-controls", "--out", out)  # fmt: skip
    stored = json.loads((out / "analysis.json").read_text())
    wanted = {
        "reading": {"pooling": "last", "bos": "<|endoftext|>", "skip_first": True},
        "inference": "tfce",
        "contiguity": "rook",
        "min_size": 3,
        "seed": 7,
    }
    wanted |= {"permutations": 5, "fwhm_mm": [0.0, 1.5], "negative_controls": False, "contrasts": ["yes S:N"]}
    assert {name: stored[name] for name in wanted} == wanted
    assert stored["models"]["model"]["reading"] == stored["reading"]
    methods = " ".join(html.unescape((out / "report.html").read_text()).partition("<h2>Methods</h2>")[2].split())
    for said in (
        "Reading: last token, <|endoftext|> before each text, first token left out.",
        "Taps of model: transformer.h.0.attn, transformer.h.0.mlp, transformer.h.1.attn, transformer.h.1.mlp",
        "FWHM 0.0 and 1.5 mm",
        "5 draws each, seed 7",
        "at least 3 units and rook contiguity",
        "threshold-free enhancement",
    ):
        assert said in methods, said
    for unsaid in ("negative controls", "linear regression", "The language network is", "0.001"):
        assert unsaid not in methods, unsaid


def test_each_contrast_has_its_own_table_of_how_conditions_differ(ran, tmp_path, folder, sentences):
    table = pd.read_csv(sentences)
    table["condition"] = table["condition"].replace({"W": "model"})  # also the name of a column of the tables
    table.loc[table["condition"] == "S", "text"] += " and a river"
    table.to_csv(tmp_path / "s.csv", index=False)
    ran("report", folder, "--stimuli", tmp_path / "s.csv", "--contrast", "S:N", "J:model", "--permutations", "5",
        "--no-negative-controls", "--out", tmp_path / "out")  # fmt: skip
    stored = pd.read_csv(tmp_path / "out" / "matching.csv")
    assert stored.groupby("contrast")["group"].unique().map(list).to_dict() == {
        "S:N": ["S", "N"],
        "J:model": ["model", "J"],
    }
    words = stored[stored["measure"] == "words"].set_index(["contrast", "group"])
    assert words.loc[("S:N", "S"), "mean"] == 6
    assert words.loc[("J:model", "model"), "mean"] == 3
    assert words.loc["S:N", "p"].max() < 0.01
    assert words.loc["J:model", "p"].min() == 1
    page = (tmp_path / "out" / "report.html").read_text().partition("How well conditions are matched")[2]
    assert re.search(r">S:N</th><th>S</th><th>N</th><th>p</th>", page)
    assert re.search(r">words</td><td>6.00 ± 0.00</td><td>3.00 ± 0.00</td><td>&lt; 0.001</td>", page)
    assert re.search(r">J:model</th><th>model</th><th>J</th><th>p</th>", page)


@pytest.mark.slow
def test_the_control_stands_beside_a_shipped_model_but_not_beside_a_folder_of_its_name(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stimuli = ts.load("small").stimuli()
    stimuli[stimuli["item"] < 4].to_csv("few.csv", index=False)
    few = ["report", "small", "--stimuli", "few.csv", "--contrast", "noun:verb", "--permutations", "5", "--out"]
    ran(*few, "shipped")
    assert set(pd.read_csv("shipped/summary.csv")["model"]) == {"topographic", "control"}
    assert {"losses.png", "trajectory.png"} <= {path.name for path in (tmp_path / "shipped" / "figures").iterdir()}
    shutil.copytree(SHIPPED / "small", "small")
    ran(*few, "mine")
    assert set(pd.read_csv("mine/summary.csv")["model"]) == {"small"}


@pytest.mark.parametrize("command", ["report", "ledger"])
def test_a_control_that_is_the_model_is_refused_before_stimuli_are_made(refused, tmp_path, monkeypatch, command):
    monkeypatch.setattr("toposheet.stimuli.studies.synthetic_battery", None)
    (tmp_path / "link").symlink_to(SHIPPED / "small")
    for control in ("small", SHIPPED / "small", tmp_path / "link"):
        line = refused(command, "small", "--control", control, "--out", tmp_path / "out")
        assert f"the control {control} is the model itself" in line
