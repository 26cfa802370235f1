import json

import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet import recipes
from toposheet.figures.frontier import frontier_curves
from toposheet.recipes import RECIPE_FILE, stored_form, write_recipe
from toposheet.recipes.result import RESULT
from toposheet.report.analysis import Analysis
from toposheet.report.frontier import ALL, FRONTIER, frontier
from toposheet.report.groups import side_by_side
from toposheet.report.models import StudiedModel, with_control
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.report.sections.training import SECTION
from toposheet.results import Results, rows_with
from toposheet.topography.storage import write_topography

TAPS = [f"transformer.h.{layer}.{kind}" for layer in range(2) for kind in ("attn", "mlp")]
OTHERS = {"corpora": [], "split": {}, "tokens": 99, "validation_spatial_loss": 0.5, "bigram_loss": 6.0, "machine": {}}
RUNS = {
    "plain": recipes.named("demo", alpha=0.0),
    "topo": recipes.named("demo", seed=1),
    "former": recipes.named("topoformer", checkpoint_every=7),
}


def trained(folder, recipe, task_loss, text="a" * 64):
    """Write what a finished run leaves in its folder, without its model."""
    folder.mkdir()
    result = OTHERS | {
        "validation_spatial_losses": {"sheet": 0.5},
        "recipe": stored_form(recipe), "text": text, "updates": 9, "validation_task_loss": task_loss,
    }  # fmt: skip
    (folder / RESULT).write_text(json.dumps(result))
    write_topography(ts.Topography({"sheet": ts.Sheet((1, 3), {"tap": np.argwhere(np.ones((1, 3)))})}), folder)
    return folder


def measured(names, rng):
    """Tables of two contrasts, with a readout and a negative control, which the frontier must leave out."""
    statistics, ordered = [], []
    for name in names:
        for contrast in ("a:b", "c:d"):
            for fwhm, control in ((0.0, ""), (2.0, ""), (0.0, "random-labels")):
                for tap in (*TAPS, "*"):
                    keys = {
                        "model": name,
                        "contrast": contrast,
                        "negative_control": control,
                        "fwhm_mm": fwhm,
                        "sheet": tap,
                        "tap": tap,
                    }
                    p = float(rng.choice([0.01, 0.05, 0.2]))
                    ordered.append(keys | {"value": rng.normal(), "p": rng.uniform(), "p_familywise": p})
                    for statistic in ("morans_i", "cross_half_i", "clusters"):
                        statistics.append(keys | {"statistic": statistic, "value": rng.normal()})
    return Results(
        {
            STATISTICS_OF_MODELS: STATISTICS_OF_MODELS.frame(statistics),
            ORGANISATION_OF_MODELS: ORGANISATION_OF_MODELS.frame(ordered),
        }
    )


@pytest.fixture
def runs(tmp_path):
    losses = {"plain": 5.1, "topo": 5.2, "former": 5.0}
    folders = {name: trained(tmp_path / name, recipe, losses[name]) for name, recipe in RUNS.items()}
    return [StudiedModel(name, folder) for name, folder in folders.items()]


@pytest.fixture
def analysis(runs, rng):
    return Analysis(measured([model.name for model in runs], rng), runs)


def test_each_model_has_its_task_loss_and_the_topography_of_each_kind_of_taps(analysis):
    table = frontier(analysis)
    assert len(table) == 2 * 3 * 3  # contrasts, models, kinds of taps
    ordered, statistics = (analysis.results[of] for of in (ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS))
    for row in table.to_dict("records"):
        keys = {"model": row["model"], "contrast": row["contrast"], "negative_control": "", "fwhm_mm": 0.0}
        ending = {"all": ("attn", "mlp"), "attention": ("attn",), "MLP": ("mlp",)}[row["taps"]]
        taps = [tap for tap in TAPS if tap.endswith(ending)]
        of_taps = [rows_with(ordered, **keys, tap=tap).iloc[0] for tap in taps]
        assert row["n_taps"] == len(taps)
        assert row["n_ordered"] == sum(of_tap["p_familywise"] <= 0.05 for of_tap in of_taps)
        for statistic in ("morans_i", "cross_half_i"):
            values = [rows_with(statistics, **keys, tap=tap, statistic=statistic)["value"].item() for tap in taps]
            assert row[statistic] == pytest.approx(np.mean(values))
        whole = rows_with(ordered, **keys, tap="*").iloc[0]
        if row["taps"] == ALL:
            assert (row["organisation"], row["p"]) == (whole["value"], whole["p"])
        else:
            assert row["organisation"] == pytest.approx(np.mean([of_tap["value"] for of_tap in of_taps]))
            assert np.isnan(row["p"])
    losses = table.drop_duplicates("model").set_index("model")["task_loss"]
    assert losses.to_dict() == {"plain": 5.1, "topo": 5.2, "former": 5.0}


def test_each_model_carries_method_strength_and_seed_and_a_topoformer_is_no_control(analysis):
    rows = frontier(analysis).drop_duplicates("model").set_index("model")
    about = rows[["method", "strength", "seed", "is_control"]]
    assert about.loc["plain"].tolist() == ["control", 0.0, 0, True]
    assert about.loc["topo"].tolist() == ["correlation", 2.5, 1, False]
    assert about.loc["former"].tolist() == ["topoformer", 3.0, 0, False]


def test_the_setting_names_what_differs_apart_from_method_strength_and_seed(tmp_path, rng):
    changes = {
        "a": {"seed": 3},
        "b": {"alpha": 0.0, "heads": 1, "snapshot_every": None},
        "c": {"objective": "all_tnn", "alpha": 3.0},
    }
    folders = {name: trained(tmp_path / name, RUNS["topo"].changed(**fields), 5.0) for name, fields in changes.items()}
    folders["d"] = trained(tmp_path / "d", RUNS["topo"], 5.0, text="b" * 64)
    models = [StudiedModel(name, folder) for name, folder in folders.items()]
    rows = frontier(Analysis(measured(folders, rng), models)).drop_duplicates("model").set_index("model")
    assert rows["setting"].to_dict() == {
        "a": "heads 4, text aaaaaa",
        "b": "heads 1, text aaaaaa",
        "c": "heads 4, text aaaaaa",
        "d": "heads 4, text bbbbbb",
    }
    alike = Analysis(measured("ac", rng), [model for model in models if model.name in "ac"])
    assert set(frontier(alike)["setting"]) == {""}


def test_the_setting_names_no_field_that_does_not_act(tmp_path, rng):
    changes = {
        "control": {"alpha": 0.0, "radius": 3},
        "bands": {"layout": "bands", "radius": 3},
        "near": {"radius": 3, "mechanism": "topoformer", "mechanism_radius": 2.0, "heads": 1},
        "far": {"radius": 3, "mechanism": "topoformer", "mechanism_radius": 6.0, "heads": 1},
    }
    folders = {name: trained(tmp_path / name, RUNS["topo"].changed(**fields), 5.0) for name, fields in changes.items()}
    models = [StudiedModel(name, folder) for name, folder in folders.items()]
    rows = frontier(Analysis(measured(folders, rng), models)).drop_duplicates("model").set_index("model")
    setting = rows["setting"].to_dict()
    assert setting["control"] == "heads 4"
    assert "layout bands" in setting["bands"]
    assert "mechanism_radius 2.0" in setting["near"]
    assert "mechanism_radius 6.0" in setting["far"]


@pytest.fixture
def of_report(results, tmp_path):
    """The results of two tiny models, as those of models whose folders hold a training result, or none."""

    def of_report(*runs):
        folders = {}
        for n, name in enumerate(("007", "<b>")):
            folder = tmp_path / f"{len(runs)}-{n}"
            folder.mkdir() if n >= len(runs) else trained(folder, runs[n], 5.0)
            folders[name] = folder
        return Analysis(results, [StudiedModel(name, folder) for name, folder in folders.items()])

    return of_report


def test_compare_writes_table_and_figure_for_two_trained_models_and_removes_them_without(of_report, tmp_path):
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "mine.png").write_text("mine")
    for runs in ([RUNS["plain"], RUNS["topo"]], [RUNS["topo"]], []):
        compared = side_by_side(of_report(*runs))
        with compared.results.written_together(out) as aside:
            compared.write(aside)
        files = [out / FRONTIER.file, *(out / "figures" / f"frontier.{ending}" for ending in ("pdf", "png"))]
        assert [file.is_file() for file in files] == [len(runs) == 2] * 3
        assert (out / "compare.csv").is_file()
        assert (out / "figures" / "mine.png").is_file()
        if len(runs) == 2:
            pd.testing.assert_frame_equal(FRONTIER.read(out), compared.frontier)
            assert set(compared.frontier["taps"]) == {"all", "attention", "MLP"}


def test_the_figure_shows_all_taps_of_the_first_contrast(analysis, of_report, tmp_path, monkeypatch):
    drawn = []

    def curves(rows, *arguments):
        drawn.append(rows)
        return frontier_curves(rows, *arguments)

    monkeypatch.setattr("toposheet.report.groups.frontier_curves", curves)
    compared = side_by_side(of_report(RUNS["plain"], RUNS["topo"]))
    compared.__dict__["frontier"] = frontier(analysis)
    compared.write(tmp_path / "out")
    (rows,) = drawn
    assert rows["contrast"].unique().tolist() == ["a:b"]
    assert rows["taps"].unique().tolist() == ["all"]
    assert rows["model"].tolist() == ["plain", "topo", "former"]


def test_the_report_names_the_method_of_each_model_and_calls_no_topoformer_a_control(analysis):
    view = SECTION.view(analysis)
    assert view["methods"] == {"plain": "control", "topo": "correlation", "former": "topoformer"}
    assert view["alphas"] == {"plain": 0.0, "topo": 2.5, "former": 0.0}
    assert "methods[name]" in SECTION.partial


def test_a_topoformer_alone_in_a_report_has_not_the_role_of_a_control(subject, tmp_path):
    ts.save(tmp_path / "model", subject)
    for recipe, role in ((RUNS["plain"], True), (RUNS["former"], False)):
        write_recipe(tmp_path / "model" / RECIPE_FILE, recipe)
        (model,) = with_control(ts.load(tmp_path / "model"))
        assert model.is_control == role


def test_the_kind_of_a_residual_stream_is_that_of_its_module():
    from toposheet.architectures import FAMILIES

    gpt2 = FAMILIES["gpt2"]
    assert gpt2.kind_of("transformer.h.0.attn>residual") == "attention" == gpt2.kind_of("transformer.h.0.attn")
    assert gpt2.kind_of("transformer.h.0.mlp>residual") == "MLP"
