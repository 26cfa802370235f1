"""Names in any script: with a font that has their letters, or spelled out in codes that every font has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fontTools.ttLib import TTFont, TTLibError
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

_FONT = "DejaVu Sans"  # comes with matplotlib
_BOXES = "Last Resort"  # so does a font that has one box for all letters of a script


def make_legible(figure: Figure) -> None:
    r"""Give a figure's texts letters that can be drawn.

    What the font lacks is taken from another that is installed. Letters that none has are written as codes
    (`\u540d`): a box would say nothing, and would be the same for every name.

    Args:
        figure: Its texts, and the labels of its ticks, are changed.
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
        if none_has & set("".join(names)):  # else the axis would write them anew
            axis.set_ticks(axis.get_ticklocs(), [name.translate(codes) for name in names])


def _others(letters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the names of fonts that have letters, fewest first found, and the letters that none has."""
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
    """Return the letters that a font has; none where it has no TrueType outlines, which a PDF can embed."""
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:  # of a collection the first, which matplotlib takes
            return frozenset(map(chr, font.getBestCmap() or ())) if "glyf" in font else frozenset()
    except (OSError, TTLibError):
        return frozenset()
