import base64
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from toposheet import UserError, demo, morans_i, recipes
from toposheet.figures.files import save_figure
from toposheet.recipes.result import read_result
from toposheet.report import Analysis, StudiedModel, folder, write_figures
from toposheet.results import read_maps

pytestmark = pytest.mark.slow  # the demo alone takes a minute

CONTRACT = (
    "model, contrast, negative_control, sheet, tap, fwhm_mm, n_units, significant_fraction, morans_i, null_mean, "
    "null_sd, z, p, label_null_mean, label_null_sd, label_z, label_p, cross_half_i"
)


def run(out, **options):
    return demo.run(recipes.named("tiny"), out, permutations=9, per_condition=40, **options)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "deep" / "demo"
    run(folder)
    return folder


def test_it_leaves_what_the_contract_names(out):
    for name in ("report.html", "summary.csv", "maps.nc", "topographic/model.safetensors", "control/topography.json"):
        assert (out / name).is_file()
    assert not list(out.rglob(".writing*"))


def test_the_summary_has_a_row_for_each_model_contrast_tap_and_readout(out):
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert ", ".join(summary.columns) == CONTRACT
    assert set(summary["model"]) == {"topographic", "control"}
    contrasts = [
        "sentence:nonword",
        "noun:verb",
        "words noun:verb",
        "concrete noun:verb",
        "abstract noun:verb",
    ]
    contrasts += ["concrete:abstract", "pairs noun:verb"]
    controls = ["", "random-labels", "word-frequency", "length"]
    names = [(contrast, control) for contrast in contrasts for control in controls]
    assert list(dict.fromkeys(zip(summary["contrast"], summary["negative_control"], strict=True))) == names
    assert len(summary) == 2 * 28 * 4 * 2
    assert not summary.duplicated(["model", "contrast", "negative_control", "tap", "fwhm_mm"]).any()


def test_the_maps_are_those_whose_statistics_are_reported(out):
    keys = ["model", "contrast", "negative_control", "tap", "fwhm_mm"]
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False).set_index(keys)
    maps = read_maps(out / "maps.nc")
    for key in (
        ("topographic", "noun:verb", "", "transformer.h.1.mlp", 0.0),
        ("control", "sentence:nonword", "random-labels", "transformer.h.0.attn", 2.0),
    ):
        model, contrast, control, sheet, fwhm = key
        grid = maps["t"].sel(model=model, contrast=contrast, negative_control=control, sheet=sheet, fwhm_mm=fwhm)
        assert grid.dims == ("y", "x")
        assert float(morans_i(grid)) == pytest.approx(float(summary.loc[key, "morans_i"]), abs=1e-9)


class Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.captions = [], 0

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset")]
        self.captions += tag == "figcaption"


def test_the_report_is_one_file_that_needs_no_network(out):
    page = (out / "report.html").read_text()
    sources = Sources()
    sources.feed(page)
    assert sources.found
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)
    assert not re.search(r"@import|url\(|<script src", page)
    assert len(sources.found) == sources.captions == len(list((out / "figures").glob("*.png"))) == 21
    assert len(list((out / "figures").glob("*.pdf"))) == 21
    assert (out / "figures" / "trajectory.png").is_file()
    for source in sources.found:
        assert base64.b64decode(source.split(",")[1]).startswith(b"\x89PNG")


def test_every_contrast_of_interest_has_one_figure_of_raw_maps_and_readouts_and_all_name_their_stimuli(
    out, tmp_path, monkeypatch
):
    drawn, notes = {}, {}

    def save(figure, folder, name, stimuli):
        drawn[name], notes[name] = figure, stimuli
        return save_figure(figure, folder, name, stimuli)

    monkeypatch.setattr("toposheet.report.page.save_figure", save)
    models = [StudiedModel(name, out / name) for name in ("topographic", "control")]
    analysis = Analysis(folder.read(out), models)
    pictures = [picture for shown in write_figures(analysis, tmp_path).values() for picture in shown]
    map_figures = {name: figure for name, figure in drawn.items() if name.startswith("map-")}
    names = ["sentence-nonword", "noun-verb", "words-noun-verb", "concrete-noun-verb-and-abstract-noun-verb"]
    names += ["concrete-abstract", "pairs-noun-verb", "sentence-nonword-random-labels"]
    assert list(map_figures) == [f"map-{name}" for name in names]
    for name, figure in map_figures.items():
        n_maps = sum(bool(axes.images) for axes in figure.axes)
        assert n_maps == 2 * 4 * 2 * (2 if "and" in name.split("-") else 1)  # models, taps, readouts, contrasts
    texts = map_figures["map-concrete-noun-verb-and-abstract-noun-verb"].texts
    texts = [text.get_text().replace("\n", " ") for text in texts]
    panels = [f"{model}, {kind} noun:verb" for model in ("topographic", "control") for kind in ("concrete", "abstract")]
    assert [text for text in texts if text in panels] == panels
    assert notes.pop("losses") == ""
    assert set(notes.values()) == {"synthetic"}
    (picture,) = (picture for picture in pictures if picture.name == "trajectory")
    assert "synthetic" in picture.title
    assert "always use synthetic stimuli, even if the report uses other stimuli" in picture.sentence


def test_the_report_says_what_a_demo_cannot_show_and_names_its_text(out):
    page = (out / "report.html").read_text()
    assert "topography, not linguistics" in page
    assert "bigram model of the same" in page
    for corpus in json.loads((out / "text" / "manifest.json").read_text())["corpora"]:
        assert corpus["licence"] in page
        assert corpus["package"] in page


def test_both_models_have_a_card_with_losses_nulls_and_licences(out):
    for model in ("topographic", "control"):
        card = (out / model / "README.md").read_text()
        result = json.loads((out / model / "training.json").read_text())
        assert f"| task loss (nats per token) | {result['validation_task_loss']:.3f} |" in card
        assert f"| {result['bigram_loss']:.3f} |" in card
        assert f"| tokens seen | {result['tokens']:,} |" in card
        assert all(f"| {corpus['licence']} |" in card for corpus in result["corpora"])
        assert all(row in card for row in ("| Moran's I |", "| place-null |", "| label-null |", "| cross-half I |"))
        assert f"| alpha | {result['recipe']['objective']['alpha']} |" in card
        assert ("The control of" in card) == (model == "control")


def test_a_finished_stage_is_not_repeated(out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    run(out)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_other_settings_make_the_numbers_anew(out, tmp_path):
    shutil.copytree(out, tmp_path / "demo", copy_function=shutil.copy2)
    demo.run(recipes.named("tiny"), tmp_path / "demo", permutations=19, per_condition=40)
    assert pd.read_csv(tmp_path / "demo" / "summary.csv")["p"].min() == pytest.approx(0.05)
    assert "Nulls have 19 draws" in (tmp_path / "demo" / "report.html").read_text()
    demo.run(recipes.named("tiny"), tmp_path / "demo", permutations=19, per_condition=30)
    assert (pd.read_csv(tmp_path / "demo" / "stimuli.csv")["condition"].value_counts() == 30).all()


def test_a_missing_stage_is_made_again_and_what_follows_from_it(out):
    trained = (out / "control" / "training.json").stat().st_mtime_ns
    old = pd.read_csv(out / "summary.csv")
    (out / "summary.csv").unlink()
    run(out)
    pd.testing.assert_frame_equal(pd.read_csv(out / "summary.csv"), old)
    assert (out / "report.html").stat().st_mtime_ns > (out / "summary.csv").stat().st_mtime_ns
    assert (out / "control" / "training.json").stat().st_mtime_ns == trained


def test_an_interrupted_demo_goes_on(tmp_path, monkeypatch, out):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.undo()
    stages = []
    run(tmp_path, say=stages.append)
    assert len(stages) == 5
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "summary.csv"), pd.read_csv(out / "summary.csv"))


def test_another_recipe_in_the_same_folder_is_refused(out):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="updates is 20 there, but 21 now"):
        demo.run(recipes.named("tiny", updates=21), out, permutations=9)
    with pytest.raises(ValueError, match="seed"):
        demo.run(recipes.named("tiny", seed=1), out, permutations=9)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_sheets_that_do_not_fit_are_refused_before_text_is_prepared(tmp_path):
    with pytest.raises(UserError, match="38 units do not fill a square sheet"):
        demo.run(recipes.named("tiny", width=38), tmp_path / "demo", say=lambda line: pytest.fail(line))
    assert not list(tmp_path.iterdir())


def expected(out):
    trained = {name: read_result(out / name) for name in ("topographic", "control")}
    return demo.expectations(folder.read(out), trained)


def test_expectations_are_computed_from_the_files(out):
    checks = {check.claim: check for check in expected(out)}
    assert len(checks) == 10
    result = json.loads((out / "topographic" / "training.json").read_text())
    spatial = checks["topographic model: spatial loss, mean over sheets"]
    assert spatial.value == result["validation_spatial_loss"]
    assert spatial.holds == (spatial.value < 0.1)
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    noun_verb = "model == 'topographic' and contrast == 'noun:verb' and negative_control == '' and fwhm_mm == 0"
    z = summary.query(noun_verb)["z"].astype(float)
    noun_verb = checks["topographic model: z of Moran's I of noun:verb against the place-null, median over taps"]
    assert noun_verb.value == pytest.approx(np.median(z))


def test_the_demo_shows_what_it_must(tmp_path, capsys):
    checks = demo.run(recipes.named("demo"), tmp_path, say=print)
    with capsys.disabled():
        print(*checks, sep="\n")
    assert [check.claim for check in checks if not check.holds] == []
