import re
from html import escape

import pandas as pd
import pytest

from toposheet import save
from toposheet.cortex.criteria import names_of_tests
from toposheet.errors import UserError
from toposheet.report import SECTIONS, Analysis, Check, StudiedModel, compute, page, write_figures, write_report
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS, SUMMARY_OF_MODELS
from toposheet.report.sections.network import CRITERIA_OF_MODELS
from toposheet.results import FACTS, Results, files_of_results, read_facts
from toposheet.settings import Settings
from toposheet.subject import Subject
from toposheet.topography import Topography
from toposheet.wording import number


@pytest.fixture(scope="module")
def analysis(results, models):
    return Analysis(results, models, [Check("a < b & c", 0.5, "< 1", True), Check("d", 2.0, "< 1", False)])


@pytest.fixture(scope="module")
def out(analysis, tmp_path_factory):
    """The folder of a report."""
    out = tmp_path_factory.mktemp("report")
    write_report(analysis, out)
    return out


@pytest.fixture(scope="module")
def html(out):
    return (out / "report.html").read_text()


def headings(html):
    return re.findall(r"<h2>(.*?)</h2>", html)


def test_models_that_lie_in_no_folder_have_a_page_without_their_training(html):
    assert headings(html) == [
        "What this run should show",
        "The language network",
        "Contrasts, medians over taps",
        "Effect sizes",
        "Smoothness of the noise",
        "As published, and as it should be",
        "Selective clusters",
        "Negative controls",
        "Islands",
        "Statistics that need no contrast",
        "Attention sinks and the number of tokens",
        "Every tap",
        "Stimuli",
        "Methods",
    ]
    assert "task loss" not in html


def test_names_and_claims_are_text_not_markup(html):
    assert "<title>toposheet report: 007, &lt;b&gt;</title>" in html
    assert "<h1>007 and &lt;b&gt;</h1>" in html
    assert "a &lt; b &amp; c" in html
    assert "<b>, " not in html


def test_checks_say_whether_they_hold(html):
    assert re.search(r'<td class="yes">holds</td>', html)
    assert re.search(r'<td class="no">does not hold</td>', html)


def test_every_figure_is_in_the_page_and_in_the_folder_of_figures(out, html):
    files = {path.name for path in (out / "figures").glob("*.png")}
    assert {path.with_suffix(".png").name for path in (out / "figures").glob("*.pdf")} == files
    assert html.count("<figure>") == html.count("data:image/png;base64,") == len(files)
    assert {"network.png", "map-S-N.png", "morans-i.png", "morans-i-mean.png", "correlation.png"} <= files


def test_figures_belong_to_the_section_that_draws_them(analysis, tmp_path):
    pictures = write_figures(analysis, tmp_path)
    assert [picture.name for picture in pictures["network"]] == ["network"]
    assert [picture.name for picture in pictures["responses"]] == ["correlation"]
    assert pictures["learning"] == []
    for drawn in pictures.values():
        for picture in drawn:
            assert picture.png.startswith(b"\x89PNG")
            assert picture.sentence.endswith(".")


def test_results_without_negative_controls_have_no_section_about_them(results, models, tmp_path):
    tables = {
        table: frame[frame["negative_control"] == ""] if "negative_control" in frame else frame
        for table, frame in results.tables.items()
    }
    maps = results.maps.sel(negative_control=[""])
    plain = Analysis(type(results)(tables, maps, results.facts), models)
    assert "Negative controls" not in headings(write_report(plain, tmp_path).read_text())
    assert not list((tmp_path / "figures").glob("*random-labels*"))


def test_a_damaged_history_is_named_before_anything_is_computed(subjects, battery, tmp_path):
    save(tmp_path, subjects["007"])
    (tmp_path / "training.json").write_text("[]")
    models, told = [StudiedModel("007", subjects["007"]), StudiedModel("damaged", tmp_path)], []
    with pytest.raises(UserError, match=r"training\.json lacks recipe"):
        compute(models, battery, progress=lambda *arguments: told.append(arguments))
    assert not told


def test_figures_of_an_earlier_report_go_and_no_other_file(analysis, tmp_path):
    with Results({SUMMARY_OF_MODELS: analysis.results[SUMMARY_OF_MODELS]}).written_together(tmp_path) as aside:
        (aside / "figures").mkdir()
        (aside / "figures" / "map-old.png").write_text("before")
    for name in ("figures/mine.png", "mine.txt"):
        (tmp_path / name).write_text("before")
    write_figures(analysis, tmp_path)
    assert not (tmp_path / "figures" / "map-old.png").exists()
    assert (tmp_path / "figures" / "mine.png").read_text() == (tmp_path / "mine.txt").read_text() == "before"
    assert (tmp_path / SUMMARY_OF_MODELS.file).is_file()


def test_the_page_and_its_figures_belong_to_the_results_beside_them(analysis, tmp_path):
    Results({}, facts={"seed": 3}).write(tmp_path)
    write_report(analysis, tmp_path)
    (tmp_path / "figures" / "mine.png").write_text("mine")
    assert {"report.html", "figures/network.png", "figures/network.pdf"} <= set(files_of_results(tmp_path))
    assert read_facts(tmp_path) == {"seed": 3}
    Results({}).write(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {FACTS, "figures", "mine.png"}


def test_a_null_that_was_not_computed_is_one_dash(html):
    assert "± –" not in html
    assert "<td>–</td>" in html[html.index("<h2>Islands</h2>") :]


def test_the_shown_tests_of_a_network_are_named_below_its_figure(analysis, html):
    criteria = analysis.results[CRITERIA_OF_MODELS]
    for name, tests in criteria.groupby("model"):
        words = escape(f"Shown in the table above: {names_of_tests(tests[tests['holds'] & ~tests['by_draws']])}.")
        assert re.search(rf"^{re.escape(escape(name))}: .*{re.escape(words)}", html, re.MULTILINE)


def test_the_tests_that_a_control_meets_too_are_named_and_the_models_stand_side_by_side(results, models):
    rows = [("007", "A > B, d", 0.01), ("<b>", "A > B, d", 0.01), ("007", "signed response: C, d", 0.01),
            ("<b>", "signed response: C, d", 0.5)]  # fmt: skip
    criteria = CRITERIA_OF_MODELS.frame(
        [{"model": m, "criterion": "1", "measure": of, "p": p, "holds": p < 0.05} for m, of, p in rows]
    )
    tables = results.tables | {CRITERIA_OF_MODELS: criteria}
    with_control = [models[0], StudiedModel("<b>", models[1].source, is_control=True)]
    analysis = Analysis(type(results)(tables, results.maps, results.facts), with_control)
    view = SECTIONS["network"].view(analysis)
    assert view["follows"].startswith(
        "Shown in 007 and also in a control (<b>): A > B. Shown in 007 alone: signed response: C. "
    )
    assert [[row.model for row in test["rows"]] for test in view["criteria"]] == [["007", "<b>"]] * 2
    assert (
        SECTIONS["network"]
        .view(Analysis(analysis.results, models))["follows"]
        .startswith("This report has no control model")
    )


def test_each_map_figure_has_a_table_with_a_row_for_each_model_and_readout(analysis, html):
    below = html[html.index("<h4>S:N</h4>") :]
    table = below[below.index("<table>") : below.index("</table>")]
    summary = analysis.results[SUMMARY_OF_MODELS]
    assert table.count("<tr>") == 1 + 2 * summary["fwhm_mm"].nunique()
    assert "result of the tests" in table
    assert table.count("not tested: with 3 draws no p can reach 0.05") == 2 * summary["fwhm_mm"].nunique()


def test_cross_half_i_is_the_mean_over_taps_with_its_range_and_null(analysis, html):
    statistics = analysis.results[STATISTICS_OF_MODELS]
    means = statistics[(statistics["statistic"] == "cross_half_i") & (statistics["tap"] == "*")]
    table = html[html.index("<h2>Contrasts") : html.index("<h3>Maps</h3>")]
    for row in means[means["negative_control"] == ""].itertuples():
        halves = f"<td>{number(row.value)}</td><td>{number(row.low)} to {number(row.high)}</td>"
        assert f"{halves}<td>{number(row.label_null_mean)}</td>" in table


def test_only_a_significant_p_of_a_contrast_is_bold_among_the_clusters():
    rows = [("", 0.01), ("", 0.2), ("length", 0.01)]
    row = {"contrast": "a:b", "model": "m", "formed": 2, "survive": 1, "units": 2, "largest": 2}
    clusters = pd.DataFrame([row | {"negative_control": control, "p": p} for control, p in rows])
    facts = {"inference": "mass", "forming_p": 0.001}
    partial = page._environment().from_string(SECTIONS["clusters"].partial)
    html = partial.render(clusters=clusters, few="", fewer_draws="", facts=facts, significant=0.05)
    assert re.findall("<b>(.*?)</b>", html) == ["0.010"]


@pytest.mark.parametrize("kinds", [("module",), ("stream",), ("module", "stream")])
def test_the_methods_say_where_the_taps_of_these_models_are(results, models, kinds):
    taps = {"module": "h.0.attn", "stream": "h.0.attn>residual"}
    studied = {
        name: model | {"taps": [taps[kind] for kind in kinds]} for name, model in results.facts["models"].items()
    }
    analysis = Analysis(type(results)(results.tables, results.maps, {**results.facts, "models": studied}), models)
    section = SECTIONS["methods"]
    view = section.view(analysis)
    methods = page._environment().from_string(section.partial).render(facts=analysis.facts, significant=0.05, **view)
    assert ("before the residual addition" in methods) == ("module" in kinds)
    assert ("ends with &gt;residual is the residual stream after the output" in methods) == ("stream" in kinds)


def test_a_box_that_is_wider_than_the_screen_says_that_it_scrolls(html):
    assert 'content: "scroll sideways →"' in html
    assert 'box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1)' in html


def test_the_notes_on_a_contrast_stand_below_the_matching_of_its_conditions(analysis, html):
    (note,) = analysis.facts["notes"]["S:N"]
    assert "share many content words with other texts" in note
    stimuli = html[html.index("<h2>Stimuli") : html.index("<h2>Methods")]
    assert f'<p class="note">Note: {escape(note)}.</p>' in stimuli.replace("&#39;", "&#x27;")


def test_the_page_has_the_effect_sizes_of_each_contrast_of_which_it_has_maps(analysis, out, html):
    section = html[html.index("<h2>Effect sizes</h2>") :]
    section = section[: section.index("<h2>", 4)]
    contrasts = analysis.results.maps["contrast"].values.tolist()
    assert re.findall(r"<h4>(.*?)</h4>", section) == [f"{contrast}: effect sizes" for contrast in contrasts]
    assert section.count("<img") == len(contrasts)
    for contrast, drawing in zip(contrasts, SECTIONS["effect_sizes"].drawings(analysis), strict=True):
        maps = analysis.results.maps.sel(negative_control="", fwhm_mm=0.0, contrast=contrast)
        outlined = ((maps["d_low"] > 0) | (maps["d_high"] < 0)).sum(dim=("sheet", "y", "x")).values.tolist()
        n_units = maps["d"].notnull().sum(dim=("sheet", "y", "x")).values.tolist()
        texts = [text.get_text() for text in drawing.figure.texts]
        assert [f"{a:,} of {b:,} units marked" in texts for a, b in zip(outlined, n_units, strict=True)] == [True] * 2


def test_a_sheet_with_several_taps_has_a_table_of_its_own(subjects, battery, html, tmp_path):
    model = subjects["007"].model
    subject = Subject(model, Topography.of(model, layout="bands"), subjects["007"].tokenizer)
    models = [StudiedModel("one sheet", subject)]
    analysis = Analysis(compute(models, battery, settings=Settings(permutations=3, min_size=2)).results, models)
    write_report(analysis, tmp_path)
    table = (tmp_path / "report.html").read_text().split("<h3>Whole sheets</h3>")[1].split("</table>")[0]
    (row,) = re.findall(r"<tr.*?>S:N</td><td>0</td>.*?</tr>", table.replace("\n", ""))
    ordered = analysis.results[ORGANISATION_OF_MODELS].query("sheet == 'cortex' and tap == '*' and fwhm_mm == 0")
    (value,) = ordered.loc[(ordered["contrast"] == "S:N") & (ordered["negative_control"] == ""), "value"]
    assert f"<td>{number(value)}</td>" in row
    assert '<td class="left">cortex</td><td>144</td>' in row
    assert "Whole sheets" not in html
