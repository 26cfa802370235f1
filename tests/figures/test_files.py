import dataclasses
import re

import matplotlib as mpl
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from toposheet.figures.files import save_figure, stamp, write_figure
from toposheet.figures.letters import make_legible
from toposheet.figures.style import STYLE, keys_below


@pytest.fixture
def figure():
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2), layout="constrained")
        axes = figure.subplots()
        axes.set_title("名:verb")
        axes.set_xticks([0, 1], ["名", "b"])
        return figure


@pytest.fixture
def font(tmp_path, monkeypatch):
    """An installed font that has nothing but one Chinese letter."""
    pen = TTGlyphPen(None)
    for move, at in ((pen.moveTo, (0, 0)), (pen.lineTo, (0, 700)), (pen.lineTo, (700, 0))):
        move(at)
    pen.closePath()
    builder, box = FontBuilder(1000), pen.glyph()
    builder.setupGlyphOrder([".notdef", "ming"])
    builder.setupCharacterMap({ord("名"): "ming"})
    builder.setupGlyf({".notdef": box, "ming": box})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "ming": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One Letter", "styleName": "Regular", "psName": "OneLetter"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(tmp_path / "one.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    font_manager.fontManager.addfont(tmp_path / "one.ttf")


def test_letters_that_no_font_has_are_codes_in_titles_and_ticks(figure, tmp_path, monkeypatch):
    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
    save_figure(figure, tmp_path, "f")  # warnings of missing glyphs are errors
    assert figure.axes[0].get_title() == "\\u540d:verb"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["\\u540d", "b"]


@pytest.mark.usefixtures("font")
def test_letters_are_taken_from_another_font_that_is_installed(figure, tmp_path):
    save_figure(figure, tmp_path, "f")
    assert figure.axes[0].get_title() == "名:verb"
    assert figure.axes[0].title.get_fontfamily()[0] == "DejaVu Sans"
    assert len(figure.axes[0].title.get_fontfamily()) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["名", "b"]


def test_names_that_the_font_has_stay_as_they_are(figure):
    figure.axes[0].set_title("Größe ∂ ± − Ж")
    figure.axes[0].set_xticks([0], ["ä"])
    make_legible(figure)
    assert figure.axes[0].get_title() == "Größe ∂ ± − Ж"
    assert figure.axes[0].title.get_fontfamily() == ["sans-serif"]


def test_pictures_have_300_dots_an_inch_and_pdfs_whole_fonts(figure, tmp_path):
    figure.axes[0].set_title("plain")
    figure.axes[0].set_xticks([0], ["a"])
    assert save_figure(figure, tmp_path, "f") == tmp_path / "f.png"
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.size == (900, 600)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf
    assert b"/FontFile2" in pdf


@pytest.mark.usefixtures("font")
def test_a_font_of_boxes_has_no_letters(monkeypatch):
    entries = font_manager.fontManager.ttflist
    plain = [entry for entry in entries if entry.name == "DejaVu Sans"]
    (entry_of_font,) = (entry for entry in entries if entry.name == "One Letter")
    boxes = dataclasses.replace(entry_of_font, name="Last Resort High-Efficiency")
    for entry, title in ((entry_of_font, "a:名"), (boxes, r"a:\u540d")):
        monkeypatch.setattr(font_manager.fontManager, "ttflist", [*plain, entry])
        figure = Figure()
        figure.suptitle("a:名")
        make_legible(figure)
        assert figure.get_suptitle() == title


def test_stimuli_are_named_below_the_figure_of_every_kind_of_file(figure, tmp_path):
    figure.axes[0].set_title("plain")
    figure.axes[0].set_xticks([0], ["a"])
    with mpl.rc_context({"svg.fonttype": "none"}):
        for name, stimuli in (("one", "synthetic"), ("two", "$x$.csv"), ("three", "")):
            write_figure(figure, tmp_path / f"{name}.svg", stimuli)
    notes = [re.findall("stimuli: [^<]*", (tmp_path / f"{name}.svg").read_text()) for name in ("one", "two", "three")]
    assert notes == [["stimuli: synthetic"], ["stimuli: $x$.csv"], []]
    write_figure(figure, tmp_path / "noted.png", "synthetic")
    write_figure(figure, tmp_path / "plain.png")
    with Image.open(tmp_path / "noted.png") as noted, Image.open(tmp_path / "plain.png") as plain:
        assert noted.size == (900, 645)
        assert noted.crop((0, 0, 900, 600)).tobytes() == plain.tobytes()
        assert noted.crop((0, 600, 900, 645)).convert("L").getextrema()[0] < 200


def test_what_stands_below_a_figure_does_not_move_its_legend(tmp_path):
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3, 2), layout="constrained")
        (line,) = figure.subplots().plot([0, 1], label="a model")
        keys_below(figure, [line])
    write_figure(figure, tmp_path / "noted.png", "a file of quite a long name.csv")
    write_figure(figure, tmp_path / "plain.png")
    with Image.open(tmp_path / "noted.png") as noted, Image.open(tmp_path / "plain.png") as plain:
        assert noted.crop((0, 0, 900, 600)).tobytes() == plain.tobytes()


def test_self_made_stimuli_are_called_synthetic_whatever_their_name():
    texts = pd.DataFrame({"text": ["a", "b"], "synthetic": [True, True]})
    assert stamp(texts, "synthetic") == "synthetic"
    assert stamp(texts, "words") == "words, synthetic"
    assert stamp(texts.assign(synthetic="True"), "words.csv") == "words.csv, synthetic"
    assert stamp(texts.assign(synthetic=[True, None]), "mine.csv") == "mine.csv"
    assert stamp(texts[["text"]], "published") == "published"
