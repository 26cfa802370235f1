"""Writing of figures to files."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from toposheet.figures.letters import make_legible
from toposheet.figures.style import DPI, MUTED, STYLE, TINY

_FOOT = 0.15  # inches below a figure, for the name of its stimuli


def save_figure(figure: Figure, folder: Path, name: str, stimuli: str = "") -> Path:
    """Write a figure as `NAME.pdf` and `NAME.png`, and return the path of the PNG file.

    Args:
        figure: The figure.
        folder: Folder of the files.
        name: Name of the files, without ending.
        stimuli: Name of the stimuli, from `stamp`. It is written below the figure. Empty: nothing is written.
    """
    write_figure(figure, folder / f"{name}.pdf", stimuli)
    return write_figure(figure, folder / f"{name}.png", stimuli)


def write_figure(figure: Figure, path: Path, stimuli: str = "") -> Path:
    """Write a figure to a file, and return the path of the file. The ending of the name decides the format.

    The layout of the figure is computed the first time, and is the same in all files of the figure.

    Args:
        figure: The figure.
        path: Path of the file.
        stimuli: See `save_figure`.
    """
    with mpl.rc_context(STYLE):
        if figure.get_layout_engine() is not None:
            make_legible(figure)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            for legend in figure.legends:  # otherwise the legend moves down, onto the name of the stimuli
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
    """Return the name of stimuli for a figure. The names of synthetic stimuli always contain the word `synthetic`.

    Args:
        stimuli: The texts. They are synthetic if they have a column `synthetic` that is True in all rows.
        name: Name of the stimuli.
    """
    made = "synthetic" in stimuli and stimuli["synthetic"].astype(str).eq("True").all()
    return name if not made or "synthetic" in name else f"{name}, synthetic"
