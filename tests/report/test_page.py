import re

import pytest

from toposheet import save
from toposheet.errors import UserError
from toposheet.report import Analysis, Check, StudiedModel, compute, write_figures, write_report


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
        "Selective clusters",
        "Negative controls",
        "Islands",
        "Statistics that need no contrast",
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


def test_figures_of_an_earlier_report_go_and_nothing_outside_of_their_folder(analysis, tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("figures/map-old.png", "figures/mine.png", "mine.txt"):
        (tmp_path / name).write_text("before")
    (tmp_path / "figures" / ".figures").write_text("map-old.png\n../mine.txt\n\n")
    write_figures(analysis, tmp_path)
    assert not (tmp_path / "figures" / "map-old.png").exists()
    assert (tmp_path / "figures" / "mine.png").read_text() == (tmp_path / "mine.txt").read_text() == "before"
