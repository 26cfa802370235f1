"""Letters of any script in figures: they are drawn with a font that has them, or written as Unicode codes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fontTools.ttLib import TTFont, TTLibError
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

_FONT = "DejaVu Sans"  # is part of matplotlib
_BOXES = "Last Resort"  # is part of matplotlib too; it draws the same box for all letters of a script


def make_legible(figure: Figure) -> None:
    r"""Change the texts of a figure so that every letter can be read.

    Letters that the font does not have are drawn with another installed font. Letters that no font has are written as
    codes (`\u540d`). Matplotlib would draw a box, which is the same for all such letters.

    Args:
        figure: The figure. Its texts and the labels of its ticks are changed.
    """
    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    labels = {axis: [label.get_text() for label in axis.get_ticklabels()] for axis in axes}
    texts = figure.findobj(Text)
    missing = {letter for text in texts for letter in text.get_text()} - _letters(font_manager.findfont(_FONT)) - {"\n"}
    if not missing:
        return
    others, none_has = _others(missing)
    codes = {ord(letter): letter.encode("unicode_escape").decode() for letter in none_has}
    for text in texts:
        text.set_fontfamily([_FONT, *others])
        text.set_text(text.get_text().translate(codes))
    for axis, names in labels.items():
        if none_has & set("".join(names)):  # otherwise the axis would write the old labels again
            axis.set_ticks(axis.get_ticklocs(), [name.translate(codes) for name in names])


def _others(letters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return names of fonts that together have the given letters, and the set of letters that no font has."""
    left, names = set(letters), []
    for entry in font_manager.fontManager.ttflist:
        if entry.name.startswith(_BOXES):
            continue
        if entry.name not in names and (covered := left & _letters(entry.fname)):
            names.append(entry.name)
            left -= covered
        if not left:
            break
    return names, left


@cache
def _letters(path: str) -> frozenset[str]:
    """Return the letters of a font. It is empty for a font without TrueType outlines, because PDF files need these."""
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:  # of a collection, matplotlib uses the first font
            return frozenset(map(chr, font.getBestCmap() or ())) if "glyf" in font else frozenset()
    except (OSError, TTLibError):
        return frozenset()
