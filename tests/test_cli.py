import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts
from toposheet import cli
from toposheet.figures.files import save_figure
from toposheet.report.ledger import MORANS_I
from toposheet.stimuli.studies import published_battery


def toposheet(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "toposheet", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )


@pytest.fixture
def folder(tmp_path, model, topo, tokenizer):
    ts.save(tmp_path / "model", model, topo, tokenizer)
    return tmp_path / "model"


@pytest.fixture
def table(tmp_path, stimuli):
    stimuli.to_csv(tmp_path / "stimuli.csv", index=False)
    return tmp_path / "stimuli.csv"


def refused(capsys, *arguments):
    """Run a command that must be refused and return its one line."""
    capsys.readouterr()  # bars of what was saved for it
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("toposheet: ")
    assert errors.count("\n") == 1, errors
    assert "─" not in errors
    return errors


def test_help_needs_nothing_heavy():
    code = (
        "import sys\nfrom toposheet.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in cli.COMMANDS)


def test_importing_toposheet_costs_nothing():
    code = (
        "import sys, toposheet; assert not {'torch', 'numpy'} & set(sys.modules); "
        "toposheet.morans_i; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_documented():
    for name in ts.__all__:
        assert getattr(ts, name).__doc__


@pytest.mark.parametrize("page", ["README.md", "docs/analyses.md", "docs/models.md", "docs/training.md"])
def test_every_name_that_a_page_gives_is_there(page):
    named = re.findall(r"\bts\.([A-Za-z_]+)", (Path(__file__).parents[1] / page).read_text())
    assert set(named) <= set(ts.__all__)


def test_every_public_analysis_is_named_by_a_page():
    pages = "".join((Path(__file__).parents[1] / page).read_text() for page in ("README.md", "docs/analyses.md"))
    of_cortex = [name for name in ts.__all__ if getattr(ts, name).__module__.startswith("toposheet.cortex")]
    assert len(of_cortex) > 20
    assert [name for name in of_cortex if not re.search(rf"\b{name}\b", pages)] == []


def test_help_of_train_lists_the_fields_of_the_recipe():
    done = toposheet("train", "tiny", "--help")
    assert done.returncode == 0
    for option in ("--updates", "--alpha", "--radius", "--data", "--out", "default: 20"):
        assert option in done.stdout


@pytest.mark.parametrize("command", ["demo", "map", "report", "ledger", "compare"])
def test_nulls_have_99_draws_unless_others_are_asked_for(capsys, command):
    assert re.search(r"--permutations INT\s.*?\(default: 99\)", ran(capsys, command, "--help"), re.DOTALL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["nonsense"],
            ["Unrecognized", "nonsense", "demo, data, train, stimuli, map, localize, report, ledger, compare, brain"],
        ),
        ([], ["demo, data, train, stimuli, map, localize, report, ledger, compare, brain"]),
        (["demo", "--outt", "x"], ["--outt", "did you mean --out?"]),
        (["demo", "--permutations", "many"], ["--permutations", "many"]),
        (["demo", "--recipe", "dem"], ["no recipe 'dem'", "demo, tiny"]),
        (["train"], ["needs a recipe", "demo,tiny"]),
        (["train", "demoo"], ["no recipe 'demoo'", "Did you mean demo?"]),
        (["train", "tiny", "--updats", "3"], ["--updats", "did you mean --updates?"]),
        (["train", "tiny", "--updates", "0"], ["updates is 0", "at least 1"]),
        (["train", "tiny", "--betas", "2", "2"], ["betas is (2.0, 2.0)"]),
        (["train", "tiny", "--seed", "-1"], ["seed is -1"]),
        (["train", "tiny", "--sheet-shape", "0", "5"], ["sheet_shape is (0, 5)"]),
        (["demo", "--recipe", "tiny", "--permutations", "1"], ["permutations is 1"]),
        (["train", "tiny", "--metric", "manhattan"], ["--metric", "chebyshev"]),
        (["train", "tiny", "--radius", "-1"], ["radius is -1", "at least 1"]),
        (["train", "tiny", "--objective", "moran"], ["--objective", "shuffled_correlation", "topoloss"]),
        (["train", "tiny", "--neighborhoods", "0"], ["neighborhoods is 0", "'all'"]),
        (["train", "tiny", "--max-samples", "1"], ["max_samples is 1"]),
        (["train", "tiny", "--alpha-schedule", "linear"], ["needs a final_alpha"]),
        (["train", "tiny", "--alpha", "inf"], ["alpha is inf"]),
        (["train", "tiny", "--width", "38"], ["38 units do not fill a square sheet", "36 (6x6)", "49 (7x7)"]),
        (["train", "tiny", "--sheet-shape", "5", "5"], ["5x5 sheet has 25 cells", "36 units"]),
        (["train", "tiny", "--taps", "model.layers.*"], ["'model.layers.*' matches no module", "transformer.h.*.attn"]),
        (["train", "tiny", "--data", "nowhere"], ["nowhere holds no prepared text"]),
        (["data"], ["prepare"]),
        (["data", "prepar"], ["Unrecognized", "prepar", "available subcommands: prepare"]),
        (["data", "prepare", "builtin"], ["Missing", "--out"]),
        (["data", "prepare", "--out", "o"], ["no source is given", "builtin, fineweb-edu"]),
        (["data", "prepare", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["data", "prepare", "builtin", "--out", "o", "--executor", "spark"], ["--executor", "'local', 'slurm'"]),
        (["data", "prepare", "builtin", "--out", "o", "--tokenizer", "./x"], ["./x is not a folder"]),
        (["data", "prepare", "builtin", "--out", "o", "--vocabulary", "9"], ["vocabulary is 9"]),
        (["data", "prepare", "builtin", "--out", "o", "--workers", "0"], ["workers is 0"]),
        (["data", "prepare", "builtin", "--out", "o", "--executor", "slurm"], ["--slurm-partition NAME"]),
        (["map"], ["Missing", "MODEL", "--stimuli"]),
        (["report", "nowhere", "--out", "o"], ["nowhere does not exist", "small, small-control"]),
        (["report", "small", "--contrast", "a:b"], ["--contrast is for a CSV file: synthetic stimuli come with"]),
        (["report", "small", "--stimuli", "mine.csv", "--contrast", "a:b"], ["there is no stimulus file mine.csv"]),
        (
            ["report", "small", "--stimuli", "nouns"],
            ["no stimulus set 'nouns'; there are: fedorenko2010,", "or give a CSV"],
        ),
        (
            ["report", "small", "--stimuli", "published", "--data", "d"],
            ["langloc_fmri_run1", "not in d, d/stimuli", "--data"],
        ),
        (["localize", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["localize", "small", "--percent", "0", "--out", "o"], ["percent is 0"]),
        (["localize", "small", "--percent", "1e-4", "--out", "o"], ["percent is 0.0001: of 2,560 units that is none"]),
        (["ledger", "small", "--pairs", "p.csv"], ["--pairs goes with --stimuli published, not with synthetic"]),
        (["report", "small", "--where", "a=b"], ["--where is for a CSV file"]),
        (["report", "small", "--forming-p", "1"], ["forming_p is 1.0: it must lie between 0 and 1"]),
        (["localize", "small", "--min-size", "0", "--out", "o"], ["min_size is 0: a cluster has at least 1 unit"]),
        (["report", "small", "--seed", "-1"], ["seed is -1: it must be at least 0"]),
        (["ledger", "small", "--seed", "-1"], ["seed is -1"]),
        (["compare", "small", "--seed", "-1", "--out", "o"], ["seed is -1"]),
        (["ledger", "small", "--stimuli", "mine.csv"], ["--stimuli", "('synthetic', 'published')"]),
        (
            ["localize", "small", "--contrast", "noun:adverb", "--out", "o"],
            ["stimuli.csv: the contrast", "conditions are: sentence, nonword, noun, verb"],
        ),
        (["compare", "--out", "o"], ["nothing to compare"]),
        (["compare", "small", "small", "--out", "o"], ["the model small is given twice"]),
        (["compare", "a=", "--out", "o"], ["'a=' names no group and model"]),
        (["ledger", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["ledger", ".", "--out", "o"], [". is not a model folder: it has no config.json"]),
        (
            ["stimuli", "build", "language", "--per-condition", "0", "--out", "w.csv"],
            ["per_condition is 0", "at least 3"],
        ),
        (["stimuli", "build", "language", "--seed", "-1", "--out", "w.csv"], ["seed is -1"]),
        (["stimuli", "build", "words", "--out", "."], ["--out is ., a folder: name the CSV file"]),
        (["stimuli", "check", "."], [". is a folder: give a CSV file"]),
        (["stimuli", "show", "words", "--texts", "-1"], ["texts is -1"]),
        (["stimuli", "show", "nouns"], ["no stimulus set 'nouns'; there are: fedorenko2010, "]),
        (["stimuli", "build", "words"], ["Missing", "--out"]),
        (["stimuli", "check", "mine.csv"], ["there is no stimulus file mine.csv"]),
        (["brain", "moran", "map.gii"], ["there is no file map.gii"]),
        (["brain", "moran", "map.gii", "--seed", "-1"], ["seed is -1"]),
        (["brain", "moran", "map.gii", "--figure", "map.jpg"], ["--figure is map.jpg", ".png, .pdf or .svg"]),
        (["brain", "export", "small", "--out", "o", "--contrast", "noun:noun"], ["conditions are: sentence, nonword,"]),
        (["brain", "moran"], ["Missing", "MAP"]),
    ],
)
def test_wrong_arguments_get_one_line_and_leave_nothing(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *arguments)
    assert all(word in line for word in words), line
    assert not [path for path in tmp_path.rglob("*.safetensors")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text-column", "word"], ["no column 'word'", "text, condition"]),
        (["--condition-column", "kind"], ["no column 'kind'"]),
        (["--contrast", "long:brief"], ["conditions are: long, short"]),
        (["--contrast", "long"], ["A-B or A:B"]),
        (["--contrast", "long:long"], ["two different conditions"]),
        (["--seed", "-1"], ["seed is -1"]),
        (["--fwhm-mm", "-1"], ["FWHM is -1"]),
        (["--fwhm-mm", "nan"], ["FWHM is nan"]),
        (["--permutations", "0"], ["permutations is 0"]),
        (["--permutations", "1"], ["permutations is 1"]),
        (["--stimuli", "."], [". is a folder"]),
        (["--where", "kind"], ["--where is 'kind': write it as COLUMN=VALUE"]),
        (["--where", "kind=x"], ["stimuli.csv has no column 'kind'"]),
        (["--confounds", "colour"], ["no confound 'colour'; there are: length, frequency, tokens"]),
        (["--pooling", "max"], ["--pooling", "max"]),
    ],
)
def test_map_refuses_what_does_not_fit(capsys, tmp_path, folder, table, options, words):
    arguments = {"--stimuli": table, "--contrast": "long:short", "--out": tmp_path / "out"} | {options[0]: options[1]}
    line = refused(capsys, "map", folder, *[word for pair in arguments.items() for word in pair])
    assert all(word in line for word in words), line
    assert not (tmp_path / "out").exists()


def test_map_of_a_folder_that_is_no_model(capsys, tmp_path, table):
    line = refused(capsys, "map", tmp_path, "--stimuli", table, "--contrast", "long:short", "--out", tmp_path / "out")
    assert "not a model folder" in line


def test_a_stimulus_file_with_an_empty_condition_is_named_by_row(capsys, tmp_path, folder):
    (tmp_path / "s.csv").write_text("text,condition\na,x\nb,\n")
    line = refused(capsys, "map", folder, "--stimuli", tmp_path / "s.csv", "--contrast", "x:y", "--out", tmp_path / "o")
    assert "s.csv, row 3: 'condition' is empty" in line


@pytest.mark.parametrize("command", [["map"], ["report"], ["compare"], ["localize"], ["brain", "export"]])
def test_an_out_that_is_a_file_or_in_one_is_refused_and_kept(capsys, tmp_path, folder, table, command):
    (tmp_path / "out").write_text("mine")
    arguments = [*command, folder, "--stimuli", table, "--contrast", "long:short"]
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        assert "Not a directory" in refused(capsys, *arguments, "--out", out)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("command", [["map"], ["report"], ["compare"], ["localize"], ["brain", "export"]])
@pytest.mark.parametrize("what", ["no tokenizer", "nan weights", "a long text"])
def test_what_a_model_cannot_read_or_answer_is_refused_and_nothing_is_written(
    capsys, tmp_path, model, topo, tokenizer, sentences, command, what
):
    if what == "nan weights":
        model.transformer.h[1].mlp.c_proj.weight.data[3, 5] = float("nan")
    ts.save(tmp_path / "model", model, topo, None if what == "no tokenizer" else tokenizer)
    if what == "a long text":
        with sentences.open("a") as file:
            file.write(f"{'river ' * 60},S\n")
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--out", tmp_path / "out"]
    line = refused(capsys, *command, tmp_path / "model", *arguments)
    words = {
        "no tokenizer": f"{tmp_path / 'model'} has no tokenizer",
        "nan weights": "row 2: the response of transformer.h.1.mlp is not finite",
        "a long text": "sentences.csv, row 42 has 180 tokens, the model reads at most 48",
    }
    assert words[what] in line
    assert not (tmp_path / "out").exists()


def test_a_missing_corpus_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = refused(capsys, "demo", "--recipe", "tiny", "--out", tmp_path / "out")
    assert "pip install 'toposheet[demo]'" in line


def test_text_is_prepared_and_trained_on(capsys, tmp_path):
    source, text = tmp_path / "source", tmp_path / "text"
    source.mkdir()
    for i in range(2):
        documents = [f"Document {i}.{j} tells of a river, a mill and a bridge in winter." for j in range(400)]
        (source / f"{i}.txt").write_text("\n<|endoftext|>\n".join(documents))

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        assert stop.value.code == 0
        return capsys.readouterr().out

    prepare = ["data", "prepare", source, "--out", text, "--tokenizer", "train", "--vocabulary", "300"]
    prepare += ["--validation-fraction", "0.1", "--licence", "CC0"]
    assert re.search(r"documents, [\d,]+ tokens held out, in .* tokens/s\): " + str(text), run(*prepare))
    assert "prepared already" in run(*prepare)
    assert "seed: 0, 1" in refused(capsys, *prepare, "--seed", "1")
    train = ["train", "tiny", "--data", text, "--vocabulary", "300", "--updates", "3"]
    run(*train, "--out", tmp_path / "model")
    result = json.loads((tmp_path / "model" / "training.json").read_text())
    assert [corpus["licence"] for corpus in result["corpora"]] == ["CC0"]

    shard = text / "train-00000.bin"
    shard.write_bytes(shard.read_bytes()[::-1])
    assert "train-00000.bin is damaged" in refused(capsys, *train, "--out", tmp_path / "other")
    shard.write_bytes(shard.read_bytes()[::-1])
    (text / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "not the one that made its tokens" in refused(capsys, *train, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_map_writes_a_row_for_each_tap_and_readout(capsys, tmp_path, folder, table):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        cli.main(
            [
                "map",
                str(folder),
                "--stimuli",
                str(table),
                "--contrast",
                "long-short",
                "--permutations",
                "9",
                "--out",
                str(out),
            ]
        )
    assert stop.value.code == 0
    summary = pd.read_csv(out / "summary.csv")
    names = ["long:short", "long:short/random-labels", "long:short/word-frequency", "long:short/length"]
    assert summary["contrast"].unique().tolist() == names[: len(summary) // 8]
    assert set(names[:2]) <= set(summary["contrast"])
    assert (out / "maps.nc").is_file()
    figures = ("clustering", "clustering-mean", "correlation", "map-long-short", "map-long-short-random-labels")
    assert {path.name for path in (out / "figures").iterdir()} == {f"{n}.{e}" for n in figures for e in ("png", "pdf")}
    assert "long:short" in capsys.readouterr().out


def test_figures_name_the_file_of_their_stimuli(capsys, tmp_path, folder, sentences, monkeypatch):
    notes = []
    for module in ("page", "localizing", "comparison"):
        name = f"toposheet.report.{module}.save_figure"
        monkeypatch.setattr(name, lambda *arguments: notes.append(arguments[3]) or save_figure(*arguments))
    made = tmp_path / "made.csv"
    pd.read_csv(sentences).assign(synthetic=True).to_csv(made, index=False)
    for stimuli, note in ((sentences, "sentences.csv"), (made, "made.csv, synthetic")):
        of_stimuli = ["--stimuli", stimuli, "--contrast", "S:N", "--out", tmp_path / "out"]
        for command in (["map", "--permutations", "5"], ["localize"], ["compare", "--permutations", "5"]):
            notes.clear()
            ran(capsys, command[0], folder, *command[1:], *of_stimuli)
            assert set(notes) == {note}


def test_report_takes_ones_own_stimuli_and_needs_no_control(tmp_path, folder, table):
    with pytest.raises(SystemExit) as stop:
        cli.main(
            [
                "report",
                str(folder),
                "--stimuli",
                str(table),
                "--contrast",
                "long:short",
                "--permutations",
                "9",
                "--out",
                str(tmp_path / "out"),
            ]
        )
    assert stop.value.code == 0
    assert "cross-half I" in (tmp_path / "out" / "report.html").read_text()


def ran(capsys, *arguments):
    """Run a command that must succeed and return what it prints."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (
            "metrics.jsonl",
            '{"update": 1, "task_loss": 5.0}\n{"update": 2, "ta\n{"update": 3}\n',
            ["line 2", "not the metrics"],
        ),
        ("metrics.jsonl", '{"update": 1}\n[1, 2]\n', ["line 2"]),
        ("metrics.jsonl", "\x00\x01\n", ["line 1"]),
        ("training.json", '{"recipe": {', ["training.json cannot be read", "Expecting"]),
        ("training.json", "[]", ["training.json lacks recipe, text, corpora"]),
        ("training.json", "", ["training.json cannot be read"]),
        ("snapshots.csv", "", ["snapshots.csv is no table of snapshots"]),
        ("snapshots.csv", "a,b\n1,2\n", ["snapshots.csv is no table of snapshots", "update"]),
        ("config.json", "{", ["config.json", "no model that can be loaded"]),
    ],
)
@pytest.mark.parametrize("command", ["report", "map"])
def test_damaged_files_of_a_training_are_named_before_anything_is_written(
    capsys, tmp_path, folder, table, command, file, content, words
):
    (folder / file).write_text(content)
    arguments = ["--stimuli", table, "--contrast", "long:short", "--permutations", "5", "--out", tmp_path / "out"]
    line = refused(capsys, command, folder, *arguments)
    assert all(word in line for word in [str(folder), *words]), line
    assert not (tmp_path / "out").exists()


def test_half_a_last_line_of_metrics_is_that_of_a_run_that_was_killed(tmp_path):
    from toposheet.train.log import read_metrics

    (tmp_path / "metrics.jsonl").write_text('{"update": 1, "task_loss": 5.0}\n{"update": 2, "ta')
    assert read_metrics(tmp_path / "metrics.jsonl").to_dict("records") == [{"update": 1, "task_loss": 5.0}]
    assert read_metrics(tmp_path / "none.jsonl").empty


@pytest.fixture
def sentences(tmp_path):
    """Ten texts of each of the conditions S, N, W and J, short enough for a tiny model."""
    words = ["river", "mill", "bridge", "winter", "stone", "child", "letter", "bread", "road", "city"]
    rows = [
        f"{words[i]} {'the' if c in 'SW' else 'zog'} {words[-i]}{'s' * (c in 'SJ')},{c}"
        for c in "SNWJ"
        for i in range(10)
    ]
    (tmp_path / "sentences.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    return tmp_path / "sentences.csv"


def test_localize_leaves_a_mask_that_knows_its_model(capsys, tmp_path, folder, sentences, model, topo):
    out = tmp_path / "localizer"
    printed = ran(capsys, "localize", folder, "--stimuli", sentences, "--percent", "10", "--out", out)
    assert "of 144 units (9.7%)" in printed
    assert "odd items select, even items measure: d = " in printed
    localizer = ts.load_localizer(out, ts.fingerprint(model, topo))
    assert int(localizer["mask"].sum()) == 14
    assert localizer.attrs["contrast"] == "S:N"
    assert len(pd.read_csv(out / "cross_validated.csv")) == 5
    assert (out / "figures" / "localizer.png").is_file()


def test_a_localizer_that_cannot_be_cross_validated_says_so_in_words(capsys, tmp_path, folder, sentences):
    printed = ran(capsys, "localize", folder, "--stimuli", sentences, "--q", "1e-12", "--out", tmp_path / "out")
    assert "0 of 144 units" in printed
    assert "not cross-validated: the odd items select no unit" in printed
    assert "nan" not in printed
    arguments = ["--percent", "0.1", "--out", tmp_path / "none"]
    assert "percent is 0.1" in refused(capsys, "localize", folder, "--stimuli", sentences, *arguments)
    assert not (tmp_path / "none").exists()


def test_a_map_can_be_of_some_texts_with_confounds_taken_out(capsys, tmp_path, folder, sentences):
    arguments = ["map", folder, "--contrast", "S:N", "--permutations", "5", "--stimuli", sentences, "--no-controls"]
    ran(capsys, *arguments, "--out", tmp_path / "plain")
    ran(capsys, *arguments, "--confounds", "length", "--pooling", "last", "--out", tmp_path / "last")
    plain, last = (pd.read_csv(tmp_path / name / "summary.csv") for name in ("plain", "last"))
    assert (plain["morans_i"] != last["morans_i"]).all()
    settings = json.loads((tmp_path / "last" / "analysis.json").read_text())
    assert settings["confounds"] == ["length"]
    assert settings["pooling"] == "last"


def test_a_second_run_leaves_no_files_of_the_first_and_none_of_the_users_are_lost(capsys, tmp_path, folder, sentences):
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    old = (
        "criteria.csv",
        "network.nc",
        "report.html",
        "ledger.md",
        "ledger.csv",
        "compare.csv",
        "figures/map-old.png",
    )
    mine = ("notes.txt", "figures/mine.txt", "figures/mine.png")
    for name in (*old, *mine):
        (out / name).write_text("before")
    arguments = [
        "--stimuli",
        sentences,
        "--contrast",
        "S:N",
        "S:N",
        "--permutations",
        "5",
        "--no-controls",
        "--out",
        out,
    ]
    ran(capsys, "map", folder, *arguments)
    assert not [name for name in old if (out / name).exists()]
    assert {(out / name).read_text() for name in mine} == {"before"}
    assert pd.read_csv(out / "summary.csv")["contrast"].unique().tolist() == ["S:N"]
    stored = json.loads((out / "analysis.json").read_text())["models"]
    assert stored["model"]["source"] == str(folder)
    assert len(stored["model"]["fingerprint"]) == 64


@pytest.mark.slow
def test_a_report_in_the_folder_of_another_models_is_that_of_its_own_model(
    capsys, tmp_path, folder, sentences, topo, tokenizer
):
    torch.manual_seed(1)
    other = GPT2LMHeadModel(GPT2Config.from_pretrained(folder))
    ts.save(tmp_path / "other", other, topo, tokenizer)
    arguments = ["--stimuli", sentences, "--permutations", "5", "--out"]
    ran(capsys, "report", folder, "--contrast", "S:N", "W:J", *arguments, tmp_path / "both")
    for out in ("both", "fresh"):
        ran(capsys, "report", tmp_path / "other", "--contrast", "W:N", *arguments, tmp_path / out)
    both, fresh = ({p.relative_to(tmp_path / out) for p in (tmp_path / out).rglob("*")} for out in ("both", "fresh"))
    assert both == fresh
    for name in ("summary.csv", "statistics.csv", "clusters.csv", "analysis.json", "texts.csv"):
        assert (tmp_path / "both" / name).read_text() == (tmp_path / "fresh" / name).read_text()


def test_a_report_is_made_with_the_settings_asked_for_and_says_so(capsys, tmp_path, folder, sentences):
    out = tmp_path / "report"
    options = {"--pooling": "last", "--inference": "tfce", "--contiguity": "rook", "--min-size": "3", "--seed": "7"}
    options |= {"--permutations": "5", "--fwhm-mm": "1.5", "--where": "keep=yes"}
    table = pd.read_csv(sentences)
    table.assign(keep=["no", *["yes"] * (len(table) - 1)]).to_csv(tmp_path / "kept.csv", index=False)
    arguments = [text for option in options.items() for text in option]
    ran(capsys, "report", folder, "--stimuli", tmp_path / "kept.csv", "--contrast", "S:N", *arguments,
        "--no-controls", "--out", out)  # fmt: skip
    stored = json.loads((out / "analysis.json").read_text())
    wanted = {"pooling": "last", "inference": "tfce", "contiguity": "rook", "min_size": 3, "seed": 7}
    wanted |= {"permutations": 5, "fwhm_mm": [0.0, 1.5], "controls": False, "contrasts": ["yes S:N"]}
    assert {name: stored[name] for name in wanted} == wanted
    methods = " ".join(html.unescape((out / "report.html").read_text()).partition("<h2>Methods</h2>")[2].split())
    for said in (
        "the activation of a unit at a text's last token",
        "Taps of model: transformer.h.0.attn, transformer.h.0.mlp, transformer.h.1.attn, transformer.h.1.mlp",
        "FWHM 0.0 and 1.5 mm",
        "5 draws each, seed 7",
        "at least 3, rook contiguity",
        "threshold-free enhancement",
    ):
        assert said in methods, said
    for unsaid in ("negative controls", "linear regression", "The language network is", "0.001"):
        assert unsaid not in methods, unsaid


def test_a_model_folder_can_be_the_out_of_what_is_computed_of_it_and_stays_what_it_was(
    capsys, tmp_path, folder, sentences
):
    files = {name: f"{name} as it was" for name in ("README.md", "notes.txt", "snapshots", "stimulus.csv")}
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "stimuli.csv").write_bytes(sentences.read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    arguments = ["--stimuli", folder / "stimuli.csv", "--contrast", "S:N", "--out", folder]
    for command in ("map", "report", "compare"):
        ran(capsys, command, folder, *arguments, "--permutations", "5")
    for command in (["localize"], ["brain", "export"]):
        ran(capsys, *command, folder, *arguments)
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "compare.csv").is_file()
    assert (folder / "localizer.nc").is_file()


def test_each_contrast_has_its_own_table_of_how_conditions_differ(capsys, tmp_path, folder, sentences):
    table = pd.read_csv(sentences)
    table["condition"] = table["condition"].replace({"W": "model"})  # also the name of a column of the tables
    table.loc[table["condition"] == "S", "text"] += " and a river"
    table.to_csv(tmp_path / "s.csv", index=False)
    arguments = [
        "--stimuli",
        tmp_path / "s.csv",
        "--contrast",
        "S:N",
        "J:model",
        "--permutations",
        "5",
        "--no-controls",
    ]
    ran(capsys, "report", folder, *arguments, "--out", tmp_path / "out")
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


@pytest.mark.parametrize("command", ["map", "report", "compare"])
def test_a_control_that_cannot_be_made_is_named_where_results_are(
    capsys, monkeypatch, tmp_path, folder, sentences, command
):
    line = "the control word-frequency is left out: it needs the package wordfreq (pip install 'toposheet[stimuli]')"
    arguments = [command, folder, "--stimuli", sentences, "--contrast", "S:N", "--permutations", "5"]
    assert line not in ran(capsys, *arguments, "--out", tmp_path / "with")
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    assert f"note: {line}\n" in ran(capsys, *arguments, "--out", tmp_path / "without")
    assert json.loads((tmp_path / "without" / "analysis.json").read_text())["left_out"] == line
    if command == "report":
        medians = (tmp_path / "with" / "report.html").read_text().partition("medians over taps</h2>")[2]
        medians = medians.partition("</table>")[0]
        assert set(re.findall(r">(S:N[^<]*)</td>", medians)) == {"S:N"}  # controls have a table of their own
        assert html.escape(line).replace("&#x27;", "&#39;") in (tmp_path / "without" / "report.html").read_text()


def test_identical_texts_in_both_conditions_are_named_by_file_and_row(capsys, tmp_path, folder):
    (tmp_path / "s.csv").write_text("text,condition\n" + "a,x\nb,x\nc,x\nd,y\nb,y\ne,y\n")
    line = refused(capsys, "map", folder, "--stimuli", tmp_path / "s.csv", "--contrast", "x:y", "--out", tmp_path / "o")
    assert "s.csv, rows 3 and 6: the text 'b' is in both conditions" in line


def test_models_are_compared_in_groups(capsys, tmp_path, folder, sentences, model, tokenizer):
    ts.save(tmp_path / "other", model, ts.Topography.per_tap(model, seed=5), tokenizer)
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--out", tmp_path / "out"]
    printed = ran(capsys, "compare", f"a={folder}", f"a={tmp_path / 'other'}", f"b={folder}", *arguments)
    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert set(table["group"]) == {"a", "b"}
    assert table.set_index("group").loc["a", "n_models"].eq(2).all()
    assert table.loc[table["group"] == "b", "difference"].notna().all()
    assert table["random-labels"].notna().all()
    assert "significant_fraction" in printed
    assert (tmp_path / "out" / "figures" / "compare.pdf").is_file()


def test_sheets_are_exported_as_surfaces(capsys, tmp_path, folder, sentences):
    import nibabel

    out = tmp_path / "surfaces"
    ran(capsys, "brain", "export", folder, "--stimuli", sentences, "--contrast", "S:N", "--out", out)
    assert len(list(out.glob("*.surf.gii"))) == len(list(out.glob("*.func.gii"))) == 4
    assert len(nibabel.load(next(out.glob("*.func.gii"))).darrays[0].data) == 36


def test_brain_moran_prints_the_value_and_on_demand_its_null(capsys, tmp_path):
    import numpy as np
    import xarray as xr

    from toposheet.brain.surface import mesh_of

    values = mesh_of(10_242, "left").coordinates[:, 1].copy()
    xr.Dataset({"t_values": ("vertex", values)}).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    assert re.search(r"^Moran's I = 0\.99\d$", ran(capsys, "brain", "moran", tmp_path / "map.nc"), re.MULTILINE)
    printed = ran(
        capsys, "brain", "moran", tmp_path / "map.nc", "--permutations", "19", "--figure", tmp_path / "f" / "m.png"
    )
    assert "null of 19 shuffles: " in printed
    assert "p = 0.05" in printed
    assert (tmp_path / "f" / "m.png").read_bytes().startswith(b"\x89PNG")
    xr.Dataset({"t_values": ("vertex", np.ones(10_242))}).to_netcdf(tmp_path / "flat.nc", engine="h5netcdf")
    printed = ran(capsys, "brain", "moran", tmp_path / "flat.nc", "--permutations", "5")
    assert "Moran's I = nan (undefined: the map is constant" in printed
    assert "null of" not in printed
    xr.Dataset({"t_values": ("vertex", np.ones(5))}).to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    line = refused(capsys, "brain", "moran", tmp_path / "bad.nc")
    assert "bad.nc has 5 vertices; meshes known are fs_LR 32k (32,492 a hemisphere) and fsaverage5 (10,242)" in line


def test_stimulus_sets_are_listed_shown_built_and_checked(capsys, tmp_path):
    listed = ran(capsys, "stimuli", "list")
    assert all(name in listed for name in ("fedorenko2010", "moseley2014", "swjn", "pairs"))
    assert "10.3758/s13428-013-0403-5" in ran(capsys, "stimuli", "show", "words", "--texts", "0")
    built = ran(capsys, "stimuli", "build", "words", "--model", "small", "--out", tmp_path / "sets" / "words.csv")
    assert "noun concrete" in built
    assert "160 texts" in built
    checked = ran(capsys, "stimuli", "check", tmp_path / "sets" / "words.csv", "--model", "small")
    assert "160 texts; noun 80, verb 80" in checked
    assert "note:" not in checked


def test_pairs_of_your_own_fill_the_ledgers_row(capsys, tmp_path, data):
    rows = [
        f"{run},{run},{kind},{kind} {run},{kind}{run} word{kind}{run}" for run in range(4) for kind in ("noun", "verb")
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["run,block,class,category,pair", *rows]) + "\n")
    (tmp_path / "words.csv").write_text("text,condition\na,noun\nb,noun\nc,noun\nd,verb\ne,verb\nf,verb\n")
    arguments = ["ledger", "small", "--stimuli", "published", "--data", data, "--out", tmp_path / "o", "--pairs"]
    line = refused(capsys, *arguments, tmp_path / "words.csv")
    assert "words.csv has no column run, block, category: pairs come as run, block, class, category, pair" in line
    battery = published_battery(data, tmp_path / "pairs.csv")
    assert list(battery.contrasts())[-1] == "pairs noun:verb"
    assert MORANS_I[0].contrasts[battery.name] == "pairs noun:verb"


@pytest.mark.slow
@pytest.mark.parametrize("stimuli", ["synthetic", "published"])
def test_the_ledger_and_report_of_the_shipped_pair_stand_on_both_kinds_of_stimuli(capsys, tmp_path, data, stimuli):
    arguments = ["--stimuli", stimuli, "--data", data, "--permutations", "19"]
    printed = ran(capsys, "ledger", "small", *arguments, "--out", tmp_path / "ledger")
    assert "| small | Moran's I, verbs-nouns" in printed or "| topographic | Moran's I, verbs-nouns" in printed
    table = pd.read_csv(tmp_path / "ledger" / "ledger.csv")
    concrete = table[(table["quantity"].str.contains("concrete")) & (table["fwhm_mm"] == 0)]
    assert concrete["published"].astype(float).tolist() == [0.80, 0.11]
    assert concrete["verdict"].str.startswith(("topographic, ", "no topography (place p > 0.05)")).all()
    assert float(concrete["measured"].iloc[0]) > 0.3 > float(concrete["measured"].iloc[1])
    assert (tmp_path / "ledger" / "ledger.md").is_file()
    ran(capsys, "report", "small", *arguments, "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"Stimuli: <b>{stimuli}</b>" in page
    assert ("made by\ntoposheet from packages" in page) == (stimuli == "synthetic")
    assert (tmp_path / "report" / "figures" / "network.pdf").is_file()


def test_ctrl_c_ends_without_a_traceback_and_the_run_goes_on(tmp_path):
    command = [sys.executable, "-m", "toposheet", "train", "tiny", "--updates", "400", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.is_file() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "interrupted; the same command goes on" in errors
    done = len(metrics.read_text().splitlines())
    assert 0 < done < 400
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    log = metrics.read_text().splitlines()
    assert sum('"task_loss"' in line for line in log) == 400


def _tmpfs(path: Path, size: str) -> bool:
    path.mkdir()
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True
        ).returncode
        == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", ["64k", "7m", "7300k", "7700k"])
def test_a_full_disk_is_one_line_and_what_was_there_stays(tmp_path, size):
    disk = tmp_path / "disk"
    if os.geteuid() != 0 or not _tmpfs(disk, size):
        pytest.skip("needs the right to mount a small disk")
    try:
        (disk / "notes.txt").write_text("mine")
        done = toposheet("demo", "--recipe", "tiny", "--out", disk / "demo")
        assert done.returncode == 2, done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr
        assert (disk / "notes.txt").read_text() == "mine"
        assert not list(disk.rglob(".writing*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)  # somebody makes room
        done = toposheet("demo", "--recipe", "tiny", "--permutations", "5", "--out", disk / "demo")
        assert done.returncode == 0, done.stderr[-2000:]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("page", ["README.md", pytest.param("docs/analyses.md", marks=pytest.mark.slow)])
def test_what_a_page_shows_in_python_runs(tmp_path, page):
    (example,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / page).read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("a", "b"), [("S/W", "../n"), ("$名詞$", "動詞"), ("run:1", "run:2")])
def test_conditions_with_odd_names_still_make_files(tmp_path, folder, stimuli, a, b):
    stimuli["condition"] = [a, b] * 3
    stimuli.to_csv(tmp_path / "s.csv", index=False)
    arguments = ["--stimuli", str(tmp_path / "s.csv"), "--contrast", f"{a}:{b}", "--permutations", "5"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["map", str(folder), *arguments, "--out", str(tmp_path / "out")])
    assert stop.value.code == 0
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 5
