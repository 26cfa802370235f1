"""How all figures look."""

from __future__ import annotations

from typing import Any

INK, MUTED = "#222222", "#777777"
COLOURS = ("#b2182b", "#5b6770", "#2166ac", "#c78c00")
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.edgecolor": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "text.parse_math": False,  # a condition may be called $
}
