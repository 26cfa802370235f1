"""A section of the report is declared whole, in this package or outside of it."""

import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from toposheet.report import SECTIONS, Drawing, Section, StudiedModel, compute, sections
from toposheet.report.section import sections_in_order
from toposheet.results import Table
from toposheet.settings import Settings

LONGEST = Table("longest.csv", {"model": "text", "stimuli": "text", "letters": "count"}, "the longest text of a set")
PARTIAL = """
<h2>The longest text</h2>
{% for row in longest.itertuples() %}<p>{{ row.model }} reads {{ row.letters }} letters of {{ row.stimuli }}.</p>{% endfor %}
{{ figure("longest") }}
"""  # noqa: E501


def study_tables(measured, settings, progress):
    return {LONGEST: pd.DataFrame({"letters": [measured.study.stimuli["text"].str.len().max()]})}


def view(page):
    table = page.results.get(LONGEST)
    return None if table is None else {"longest": table}


def drawings(page):
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar(page.results[LONGEST]["stimuli"], page.results[LONGEST]["letters"])
    yield Drawing("longest", "The longest text", "How long <it> is.", figure)


@pytest.fixture
def section():
    SECTIONS.register("longest", Section(25, PARTIAL, view, drawings, (LONGEST,), study_tables=study_tables))
    yield
    if "longest" in SECTIONS:
        SECTIONS.unregister("longest")


@pytest.mark.slow
def test_a_section_from_outside_has_its_table_its_figure_and_its_part_of_the_page(
    ran, tmp_path, folder, sentences, section
):
    out = tmp_path / "out"
    arguments = [
        "--stimuli",
        sentences,
        "--contrast",
        "S:N",
        "--permutations",
        "5",
        "--no-negative-controls",
        "--out",
        out,
    ]
    ran("report", folder, *arguments)
    longest = pd.read_csv(sentences)["text"].str.len().max()
    table = LONGEST.read(out)
    assert table.to_dict("records") == [{"model": "model", "stimuli": "sentences", "letters": longest}]
    assert {path.name for path in (out / "figures").glob("longest.*")} == {"longest.png", "longest.pdf"}
    page = (out / "report.html").read_text()
    assert f"model reads {longest} letters of sentences." in page
    assert '<figure><div class="scroll"><img alt="The longest text"' in page
    assert "<figcaption>How long &lt;it&gt; is.</figcaption>" in page
    assert page.index("The longest text</h2>") < page.index("Contrasts, medians over taps</h2>")  # 25 is before 40
    SECTIONS.unregister("longest")
    ran("report", folder, *arguments)
    assert "The longest text" not in (out / "report.html").read_text()
    assert not list((out / "figures").glob("longest.*"))


def test_a_section_that_does_not_declare_its_table_is_a_fault_of_the_section(subjects, battery):
    SECTIONS.register("undeclared", Section(26, PARTIAL, view, study_tables=study_tables))
    try:
        with pytest.raises(AssertionError, match=r"fills longest\.csv but does not declare this table"):
            compute(
                [StudiedModel("007", subjects["007"])],
                battery,
                settings=Settings(permutations=2, negative_controls=False),
            )
    finally:
        SECTIONS.unregister("undeclared")


def test_sections_stand_in_the_order_of_their_places(section):
    names = list(sections_in_order())
    assert names[:4] == ["training", "checks", "longest", "network"]
    assert names[-1] == "methods"


def test_no_two_sections_write_the_same_table():
    files = [table.file for section in sections_in_order().values() for table in section.tables]
    assert len(files) == len(set(files)) > 8


def test_a_partial_is_html_with_a_heading_or_says_what_it_shows_in_another_way():
    headed = {name for name, section in sections_in_order().items() if re.search(r"<h2>", section.partial)}
    assert set(sections_in_order()) - headed <= {"training"}


def test_a_file_in_the_folder_of_sections_is_a_section_without_a_list_elsewhere():
    files = {path.stem for path in Path(sections.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(SECTIONS.names()) == files
