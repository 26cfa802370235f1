"""Colours, fonts and sizes of all figures. The sizes fit the page of a journal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.1, 8.8  # inches, at most: two columns (180 mm), and a page without caption and foot
COLUMN = 3.5  # inches: one column (89 mm)
DPI = 300
INK, MUTED = "#222222", "#777777"
_COLOURS = (
    "#b2182b", "#5b6770", "#2166ac", "#c78c00", "#1b7837", "#762a83",
    "#35978f", "#e7298a", "#8c510a", "#1a1a1a", "#66a61e", "#80b1d3",
)  # fmt: skip
PLACE, LABEL = "#555555", "#2166ac"  # the two nulls
SMALL, TINY = 7, 6  # points; no text is smaller
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
    "text.parse_math": False,  # the name of a condition may contain $
    "pdf.fonttype": 42,  # TrueType fonts, as journals ask for
}


def colour(n: int) -> str:
    """Return the colour of the n-th model. With more than 12 models, colours repeat."""
    return _COLOURS[n % len(_COLOURS)]


def broken(name: str, characters: int, lines: int = 3) -> str:
    """Return a name with line breaks at spaces. If a word is longer than a line, it also breaks at colons.

    Args:
        name: The name, for example of a model or a contrast.
        characters: Most characters in a line.
        lines: Most lines. The rest of a longer name is replaced by an ellipsis.
    """
    at_colons = max(map(len, name.split()), default=0) > characters
    text = name.replace(":", ": ") if at_colons else name
    wrapped = "\n".join(textwrap.wrap(text, characters, max_lines=lines, placeholder=" …"))
    return wrapped.replace(": ", ":") if at_colons else wrapped


def key(name: str) -> str:
    """Return a name for a legend. A space is added before `_`, because matplotlib hides labels that begin with `_`."""
    return f" {name}" if name.startswith("_") else name


def keys_below(figure: Figure, handles: Sequence[Any]) -> None:
    """Draw the legend of a figure below the axes, in as many columns as fit.

    Args:
        figure: The figure. Its layout must be `constrained`.
        handles: Artists with labels, in the order of the legend.
    """
    widths = [0.5 + 0.06 * len(handle.get_label()) for handle in handles]  # inches
    fitting = [
        columns
        for columns in range(1, len(handles) + 1)
        if sum(max(part) for part in np.array_split(widths, columns)) <= figure.get_figwidth()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(fitting, default=1))
