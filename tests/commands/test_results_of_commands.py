"""What commands that compute have in common: what they refuse, and what they leave in a folder."""

import html
import json
import re
import sys
from importlib import import_module

import pandas as pd
import pytest

from toposheet.cli import main
from toposheet.figures.files import save_figure


@pytest.mark.slow
def test_figures_name_the_file_of_their_stimuli(ran, tmp_path, folder, sentences, monkeypatch):
    notes = []
    for module in ("page", "localizing", "groups"):
        file = import_module(f"toposheet.report.{module}")
        noting = lambda *arguments: notes.append(arguments[3]) or save_figure(*arguments)  # noqa: E731
        monkeypatch.setattr(file, "save_figure", noting)
    made = tmp_path / "made.csv"
    pd.read_csv(sentences).assign(synthetic=True).to_csv(made, index=False)
    for stimuli, note in ((sentences, "sentences.csv"), (made, "made.csv, synthetic")):
        options = ["--stimuli", stimuli, "--contrast", "S:N", "--out", tmp_path / "out"]
        for command in (["map", "--permutations", "5"], ["localize"], ["compare", "--permutations", "5"]):
            notes.clear()
            ran(command[0], folder, *command[1:], *options)
            assert set(notes) == {note}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (
            "metrics.jsonl",
            '{"update": 1, "task_loss": 5.0}\n{"update": 2, "ta\n{"update": 3}\n',
            ["line 2", "does not hold the metrics"],
        ),
        ("metrics.jsonl", '{"update": 1}\n[1, 2]\n', ["line 2"]),
        ("metrics.jsonl", "\x00\x01\n", ["line 1"]),
        ("training.json", '{"recipe": {', ["training.json cannot be read", "Expecting"]),
        ("training.json", "[]", ["training.json lacks recipe, text, corpora"]),
        ("training.json", "", ["training.json cannot be read"]),
        ("snapshots.csv", "", ["snapshots.csv is not a table of snapshots"]),
        ("snapshots.csv", "a,b\n1,2\n", ["snapshots.csv is not a table of snapshots", "update"]),
        ("config.json", "{", ["config.json", "cannot be opened"]),
    ],
)
@pytest.mark.parametrize("command", ["report", "map"])
def test_damaged_files_of_a_training_are_named_before_anything_is_written(
    refused, tmp_path, folder, table, command, file, content, words
):
    (folder / file).write_text(content)
    arguments = ["--stimuli", table, "--contrast", "long:short", "--permutations", "5", "--out", tmp_path / "out"]
    line = refused(command, folder, *arguments)
    assert all(word in line for word in [str(folder), *words]), line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_folder_can_be_the_out_of_what_is_computed_of_it_and_stays_what_it_was(
    ran, tmp_path, folder, sentences
):
    files = {name: f"{name} as it was" for name in ("README.md", "notes.txt", "snapshots", "stimulus.csv")}
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "stimuli.csv").write_bytes(sentences.read_bytes())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    arguments = ["--stimuli", folder / "stimuli.csv", "--contrast", "S:N", "--out", folder]
    for command in ("map", "report", "compare"):
        ran(command, folder, *arguments, "--permutations", "5")
    for command in (["localize"], ["brain", "export"]):
        ran(*command, folder, *arguments)
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "compare.csv").is_file()
    assert (folder / "localizer.nc").is_file()


@pytest.mark.parametrize("command", ["map", "report", "compare"])
@pytest.mark.slow
def test_a_control_that_cannot_be_made_is_named_where_results_are(
    ran, monkeypatch, tmp_path, folder, sentences, command
):
    line = (
        "negative controls are left out, because a package is missing: word-frequency "
        "(pip install 'toposheet[stimuli]')"
    )
    arguments = [command, folder, "--stimuli", sentences, "--contrast", "S:N", "--permutations", "5"]
    assert line not in ran(*arguments, "--out", tmp_path / "with")
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    assert f"note: {line}\n" in ran(*arguments, "--out", tmp_path / "without")
    assert json.loads((tmp_path / "without" / "analysis.json").read_text())["negative_controls_left_out"] == line
    if command == "report":
        medians = (tmp_path / "with" / "report.html").read_text().partition("medians over taps</h2>")[2]
        medians = medians.partition("</table>")[0]
        assert set(re.findall(r">(S:N[^<]*)</td>", medians)) == {"S:N"}  # controls have a table of their own
        assert html.escape(line).replace("&#x27;", "&#39;") in (tmp_path / "without" / "report.html").read_text()


@pytest.mark.parametrize("command", ["map", "report", "compare", "localize"])
def test_a_command_that_is_interrupted_while_it_draws_changes_nothing(
    command, tmp_path, folder, sentences, monkeypatch
):
    out = tmp_path / "out"
    earlier = ("analysis.json", "summary.csv", "localizer.nc", "report.html", "figures/map-a-b.png")
    (out / "figures").mkdir(parents=True)
    for name in earlier:
        (out / name).write_text(f"{name}, earlier")

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", interrupted)
    options = [] if command == "localize" else ["--permutations", "2", "--no-negative-controls"]
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, [command, folder, "--stimuli", sentences, "--contrast", "S:N", "--out", out, *options])))
    assert stop.value.code == 130
    left = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert left == {name: f"{name}, earlier" for name in earlier}


@pytest.fixture
def command(folder, sentences, blimp, sst2, cache, tmp_path):
    """The arguments of short commands that all write to the same folder."""
    quick = ["--learning-rate", "1e-2", "--batch", "8", "--micro-batch", "8", "--updates", "2", "--validate-every", "1"]
    texts = ["--stimuli", sentences, "--contrast", "S:N"]
    items, disc = ["--path", blimp, "--draws", "2"], ["--region", "disc:transformer.h.0.mlp:2:2:1"]
    options = {
        "evaluate": ["--path", blimp],
        "finetune": ["--tasks", "sst2", "--path", sst2, *quick],
        "lesion": [*items, *texts, *disc],
        "searchlight": [*items, "--sheet", "transformer.h.0.mlp"],
        "map": [*texts, "--permutations", "2", "--no-negative-controls"],
        "localize": texts,
    }
    return lambda name: [name, folder, *options[name], "--out", tmp_path / "out"]


FILES = {
    "evaluate": {"accuracy.csv", "items_blimp.csv", *(f"figures/accuracy-blimp.{ending}" for ending in ("pdf", "png"))},
    "finetune": {"scores.csv", "finetunings.csv", "items_sst2.csv",
                 *(f"figures/{name}.{ending}" for name in ("scores", "losses-sst2") for ending in ("pdf", "png"))},
    "lesion": {"effects.csv", "figures/effects.pdf", "figures/effects.png"},
    "searchlight": {"searchlight.csv", "figures/searchlight.pdf", "figures/searchlight.png"},
}  # fmt: skip


def files(out):
    """Return the names of the files of results, and those of the user, in a folder and in its folder of figures."""
    return {path.relative_to(out).as_posix() for folder in (out, out / "figures") for path in folder.glob("*.*")}


@pytest.mark.parametrize("order", [("evaluate", "finetune"), ("finetune", "evaluate")])
def test_an_evaluation_and_a_fine_tuning_replace_each_other_and_keep_the_files_of_the_user(
    ran, command, tmp_path, order
):
    out = tmp_path / "out"
    first, second = order
    ran(*command(first))
    mine = {"items_mine.csv", "figures/mine.png", "figures/accuracy-mine.png"}
    for name in mine:
        (out / name).write_text("mine")
    assert files(out) == {"analysis.json", *FILES[first], *mine}
    ran(*command(second))
    assert files(out) == {"analysis.json", *FILES[second], *mine}
    assert {(out / name).read_text() for name in mine} == {"mine"}
    assert (out / "sst2" / "classifier.safetensors").is_file()


def test_a_folder_holds_the_results_of_one_analysis(ran, command, tmp_path):
    out = tmp_path / "out"
    ran(*command("lesion"))
    ran(*command("localize"))
    localizer = files(out) - {"analysis.json", *FILES["lesion"]}
    assert {"localizer.nc", "cross_validated.csv", "figures/localizer.png"} <= localizer
    for name in ("searchlight", "lesion"):
        ran(*command(name))
        assert files(out) == {"analysis.json", *FILES[name], *localizer}


def test_maps_replace_a_lesion_and_a_lesion_replaces_maps(ran, command, tmp_path):
    out = tmp_path / "out"
    ran(*command("lesion"))
    ran(*command("map"))
    assert {"analysis.json", "summary.csv", "maps.nc", "figures/map-S-N.png"} <= files(out)
    assert not FILES["lesion"] & files(out)
    ran(*command("lesion"))
    assert files(out) == {"analysis.json", *FILES["lesion"]}
