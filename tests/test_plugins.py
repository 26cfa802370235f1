"""Everything that CONTRIBUTING says how to add, added by a package from outside, and run from the command line."""

import os
import subprocess
import sys

import pandas as pd
import pytest

import toposheet as ts
from toposheet.errors import UserError
from toposheet.plugins import REGISTRIES

PLUGIN = '''
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import toposheet as ts
from toposheet.architectures import FAMILIES, Architecture
from toposheet.commands import Command
from toposheet.commands._command import deferred
from toposheet.cortex import MapStatistic
from toposheet.recipes import named
from toposheet.report import Drawing, Section
from toposheet.results import Table
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.stimulus_set import StimulusSet
from toposheet.text.documents import Piece, Source, File
from toposheet.topography.objectives.objective import OnWeights

ts.register("map statistic", "peak_t", MapStatistic(lambda maps: np.nanmax(maps.t, axis=(-2, -1)), "the largest t"))

UNITS = Table("units.csv", {"model": "text", "stimuli": "text", "contrast": "text", "n": "count"}, "a contrast")
ts.register("report section", "units", Section(
    position=55,
    partial="<h2>Units counted</h2>{{ figure('units') }}<p>{{ n }} units</p>",
    view=lambda page: {"n": page.results[UNITS]["n"].sum()},
    drawings=lambda page: [Drawing("units", "Units", "How many units there are.", Figure(figsize=(1, 1)))],
    tables=(UNITS,),
    comparison_tables=lambda measured, settings, progress: {
        UNITS: UNITS.frame([
            {"contrast": measured.comparison.name, "n": measured.comparison.responses.sizes["unit"]}
        ])
    },
))

def make(reader, seed, per_condition):
    texts = [f"the old mill {word}" for word in ("a", "b", "c", "d", "e", "f")]
    return pd.DataFrame({"text": texts, "condition": ["x", "y"] * 3, "synthetic": True})

ts.register("stimulus set", "mills", StimulusSet("mills", "here", "any", ("x", "y"), (Contrast("x", "y"),), make=make))

def spread(weights, sheet):
    return weights.var()

ts.register("objective", "spread", OnWeights(spread))
ts.register("architecture", "narrow-gpt2", Architecture(build=FAMILIES["gpt2"].build))
ts.register("recipe", "mine", named("tiny", updates=2, objective="spread", architecture="narrow-gpt2", vocabulary=300,
                                    context=16, validation_blocks=2, snapshot_every=None).changed(name="mine"))

def read(path, column):
    for n in range(400):
        yield Piece(f"The river ran past mill number {n} and the children threw stones.", True)

ts.register("data source", "rivers", Source(lambda: [File("rivers", 0)], lambda: [{"name": "rivers"}], read=read))

@deferred
def hello(name: str = "you") -> None:
    """Greet somebody."""
    print(f"hello {name}")

ts.register("command", "hello", Command(position=5, parser=hello))
'''


@pytest.fixture(scope="module")
def toposheet(tmp_path_factory):
    """Run the command line where a package with a plug-in, and one with a broken plug-in, are installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "my_plugin.py").write_text(PLUGIN)
    for package, module in (("mine", "my_plugin"), ("broken", "there_is_no_such_module")):
        information = folder / f"{package}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[toposheet.plugins]\n{package} = {module}\n")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))

    def toposheet(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "toposheet", *map(str, arguments)],
            capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return toposheet


@pytest.mark.slow
def test_a_command_is_listed_and_runs_and_a_broken_plug_in_is_named_and_hides_no_other(toposheet):
    done = toposheet("hello", "--name", "Kyoto")
    assert done.stdout == "hello Kyoto\n"
    assert "the plug-in broken (there_is_no_such_module) cannot be loaded" in done.stderr
    assert "hello" in toposheet("--help").stdout


@pytest.mark.slow
def test_a_source_an_architecture_an_objective_and_a_recipe_train_and_a_set_a_statistic_and_a_section_report(
    toposheet, tmp_path
):
    text, model, out = tmp_path / "text", tmp_path / "model", tmp_path / "out"
    toposheet("data", "prepare", "rivers", "--tokenizer", "train", "--vocabulary", "300",
              "--validation-fraction", "0.2", "--workers", "1", "--out", text)  # fmt: skip
    toposheet("train", "mine", "--data", text, "--out", model)
    assert ts.load(model).topography.taps
    toposheet("report", model, "--stimuli", "mills", "--contrast", "x:y", "--permutations", "2",
              "--no-negative-controls", "--out", out)  # fmt: skip
    statistics = pd.read_csv(out / "statistics.csv")
    peaks = statistics[(statistics["statistic"] == "peak_t") & (statistics["tap"] != "*")]
    assert len(peaks) == 2 * 4
    assert peaks[["value", "null_mean", "label_null_mean", "p", "label_p"]].notna().all(axis=None)
    assert pd.read_csv(out / "units.csv")["n"].tolist() == [4 * 36]
    assert (out / "figures" / "units.png").is_file()
    page = (out / "report.html").read_text()
    assert "<h2>Units counted</h2>" in page
    assert f"<p>{4 * 36} units</p>" in page


def test_every_kind_has_a_registry_and_a_wrong_kind_names_them():
    with pytest.raises(UserError, match="no registry of the kind 'map'; there are: architecture, command"):
        ts.register("map", "mine", None)
    for kind in REGISTRIES:
        with pytest.raises(UserError, match="already"):
            ts.register(kind, _first_name(kind), None)


def _first_name(kind):
    from importlib import import_module

    module, attribute = REGISTRIES[kind]
    return getattr(import_module(f"toposheet.{module}"), attribute).names()[0]


@pytest.mark.parametrize("kind", REGISTRIES)
@pytest.mark.parametrize("entry", [None, 3, object(), lambda: None, dict])
def test_what_is_no_entry_of_its_kind_is_refused(kind, entry):
    with pytest.raises(UserError, match=r"'odd' is an? .*: see CONTRIBUTING"):
        ts.register(kind, "odd", entry)


def test_a_kind_that_does_not_exist_gets_the_nearest():
    with pytest.raises(UserError, match=r"no registry of the kind 'objectiv'; .* Did you mean objective\?"):
        ts.register("objectiv", "odd", None)
