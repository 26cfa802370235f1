"""How all figures look, and how large they are: what a page of a journal takes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.1, 8.8  # inches at most: 180 mm, two columns, and a page less caption and foot
COLUMN = 3.5  # inches: 89 mm, one column
DPI = 300
INK, MUTED = "#222222", "#777777"
_COLOURS = ("#b2182b", "#5b6770", "#2166ac", "#c78c00")
PLACE, LABEL = "#555555", "#2166ac"  # the two nulls
SMALL, TINY = 7, 6  # points; nothing is smaller
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.color": INK,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "text.parse_math": False,  # a condition may be called $
    "pdf.fonttype": 42,  # whole letters, which journals ask for
}


def colour(n: int) -> str:
    """Return the colour of the n-th model; they come again where models are many."""
    return _COLOURS[n % len(_COLOURS)]


def broken(name: str, characters: int, lines: int = 3) -> str:
    """Return a name in lines of so many characters at most, broken at spaces or, where that is too little, at colons.

    Args:
        name: Of a model, a contrast, and so on.
        characters: In a line.
        lines: At most; what comes after them is left out.
    """
    if max(map(len, name.split()), default=0) > characters:
        name = name.replace(":", ": ")
    return "\n".join(textwrap.wrap(name, characters, max_lines=lines, placeholder=" …")).replace(": ", ":")


def key(name: str) -> str:
    """Return a name as legends show it: matplotlib leaves out labels that begin with `_`."""
    return f" {name}" if name.startswith("_") else name


def keys_below(figure: Figure, handles: Sequence[Any]) -> None:
    """Draw a figure's legend below it, in as many columns as there is space for.

    Args:
        figure: Laid out with constraints.
        handles: Artists with labels, in the order in which they are read.
    """
    widths = [0.5 + 0.06 * len(handle.get_label()) for handle in handles]  # inches
    fitting = [
        columns
        for columns in range(1, len(handles) + 1)
        if sum(max(part) for part in np.array_split(widths, columns)) <= figure.get_figwidth()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(fitting, default=1))
