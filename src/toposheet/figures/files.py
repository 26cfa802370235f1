"""Figures as files."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from toposheet.figures.letters import make_legible
from toposheet.figures.style import DPI, MUTED, STYLE, TINY

_FOOT = 0.15  # inches below a figure, for what its data come from


def save_figure(figure: Figure, folder: Path, name: str, stimuli: str = "") -> Path:
    """Write a figure as `NAME.pdf` and `NAME.png`, and return the path of the picture.

    Args:
        figure: What is drawn.
        folder: Where.
        name: Of the files.
        stimuli: From `stamp`: what the figure was made of, written below it; nothing for figures without stimuli.
    """
    write_figure(figure, folder / f"{name}.pdf", stimuli)
    return write_figure(figure, folder / f"{name}.png", stimuli)


def write_figure(figure: Figure, path: Path, stimuli: str = "") -> Path:
    """Write a figure to a file of the kind that its name ends with, laid out once for all of them, and return its path.

    Args:
        figure: What is drawn.
        path: Of the file.
        stimuli: See `save_figure`.
    """
    with mpl.rc_context(STYLE):
        if figure.get_layout_engine() is not None:
            make_legible(figure)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            for legend in figure.legends:  # else it moves down to the end of the page, onto what is written there
                legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
        make_legible(figure)
        width, height = figure.get_size_inches()
        foot = _FOOT if stimuli else 0.0
        note = figure.text(1 - 0.05 / width, -0.04 / height, f"stimuli: {stimuli}" if stimuli else "",
                           ha="right", va="top", fontsize=TINY, color=MUTED)  # fmt: skip
        figure.savefig(path, dpi=DPI, bbox_inches=Bbox([[0, -foot], [width, height]]))
        note.remove()
    return path


def stamp(stimuli: pd.DataFrame, name: str) -> str:
    """Return how a figure names the stimuli that it was made of: self-made ones are `synthetic`, whatever their name.

    Args:
        stimuli: The texts. Self-made sets have a column `synthetic`, True.
        name: What they are called.
    """
    made = "synthetic" in stimuli and stimuli["synthetic"].astype(str).eq("True").all()
    return name if not made or "synthetic" in name else f"{name}, synthetic"
