"""Figures as files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure


def save_figure(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure as `NAME.pdf` and `NAME.png`, laid out once for both, and return the path of the picture."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.savefig(folder / f"{name}.pdf")
    figure.savefig(folder / f"{name}.png", dpi=200)
    return folder / f"{name}.png"
