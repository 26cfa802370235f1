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

import toposheet as ts
from toposheet import cli
from toposheet.figures.files import save_figure


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


def test_help_of_train_lists_the_fields_of_the_recipe():
    done = toposheet("train", "tiny", "--help")
    assert done.returncode == 0
    for option in ("--updates", "--alpha", "--radius", "--data", "--out", "default: 20"):
        assert option in done.stdout


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
        (
            ["localize", "small", "--contrast", "noun:adverb", "--out", "o"],
            ["conditions are: sentence, nonword, noun, verb"],
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
        (["stimuli", "show", "nouns"], ["no stimulus set 'nouns'; there are: fedorenko2010, "]),
        (["stimuli", "build", "words"], ["Missing", "--out"]),
        (["stimuli", "check", "mine.csv"], ["there is no stimulus file mine.csv"]),
        (["brain", "moran", "map.gii"], ["map.gii"]),
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
        (["--fwhm-mm", "-1"], ["FWHM is -1"]),
        (["--fwhm-mm", "nan"], ["FWHM is nan"]),
        (["--permutations", "0"], ["permutations is 0"]),
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


def test_an_out_that_is_a_file_is_refused_and_kept(capsys, tmp_path, folder, table):
    (tmp_path / "out").write_text("mine")
    line = refused(capsys, "map", folder, "--stimuli", table, "--contrast", "long:short", "--out", tmp_path / "out")
    assert "Not a directory" in line
    assert (tmp_path / "out").read_text() == "mine"


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
    for name in ("criteria.csv", "network.nc", "figures/map-old.png", "notes.txt", "figures/mine.txt"):
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
    assert not [name for name in ("criteria.csv", "network.nc", "figures/map-old.png") if (out / name).exists()]
    assert (out / "notes.txt").read_text() == (out / "figures" / "mine.txt").read_text() == "before"
    assert pd.read_csv(out / "summary.csv")["contrast"].unique().tolist() == ["S:N"]
    stored = json.loads((out / "analysis.json").read_text())["models"]
    assert stored["model"]["source"] == str(folder)
    assert len(stored["model"]["fingerprint"]) == 64


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

    from toposheet.cortex.surface import mesh_of

    values = mesh_of(10_242, "left").coordinates[:, 1].copy()
    xr.Dataset({"t_values": ("vertex", values)}).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    assert re.search(r"^Moran's I = 0\.99\d$", ran(capsys, "brain", "moran", tmp_path / "map.nc"), re.MULTILINE)
    printed = ran(
        capsys, "brain", "moran", tmp_path / "map.nc", "--permutations", "19", "--figure", tmp_path / "f" / "m.png"
    )
    assert "null of 19 shuffles: " in printed
    assert "p = 0.05" in printed
    assert (tmp_path / "f" / "m.png").read_bytes().startswith(b"\x89PNG")
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


@pytest.mark.slow
@pytest.mark.parametrize("stimuli", ["synthetic", "published"])
def test_the_ledger_and_report_of_the_shipped_pair_stand_on_both_kinds_of_stimuli(capsys, tmp_path, data, stimuli):
    arguments = ["--stimuli", stimuli, "--data", data, "--permutations", "19"]
    printed = ran(capsys, "ledger", "small", *arguments, "--out", tmp_path / "ledger")
    assert "| small | Moran's I, verbs-nouns" in printed or "| topographic | Moran's I, verbs-nouns" in printed
    table = pd.read_csv(tmp_path / "ledger" / "ledger.csv")
    concrete = table[(table["quantity"].str.contains("concrete")) & (table["fwhm_mm"] == 0)]
    assert concrete["published"].astype(float).tolist() == [0.80, 0.11]
    assert concrete["verdict"].str.startswith(("topographic, ", "no topography (p > 0.05)")).all()
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


def test_what_the_readme_shows_in_python_runs(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("a", "b"), [("S/W", "../n"), ("$名詞$", "動詞")])
def test_conditions_with_odd_names_still_make_files(tmp_path, folder, stimuli, a, b):
    stimuli["condition"] = [a, b] * 3
    stimuli.to_csv(tmp_path / "s.csv", index=False)
    arguments = ["--stimuli", str(tmp_path / "s.csv"), "--contrast", f"{a}:{b}", "--permutations", "5"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["map", str(folder), *arguments, "--out", str(tmp_path / "out")])
    assert stop.value.code == 0
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 5
