"""Maps laid out on a page: kinds of taps in rows, layers in columns, all cells of one size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from toposheet.figures.style import INK, SMALL, TINY, broken

HEAD, FOOT = 0.16, 0.16  # inches above the first line of maps, for the layers, and below each, for a number
LEFT = 0.36  # inches before the first column, for the kinds of taps
_GAP = 0.06  # inches between maps
_BAR = 0.1  # inches
_SMALLEST, _LARGEST = 0.2, 1.0  # inches
_NAMED = 0.47  # inches that "layer 10" needs


@dataclass(frozen=True)
class Line:
    """Some layers of one kind of taps: a sheet in each column, or none."""

    kind: str
    sheets: tuple[str | None, ...]
    layers: tuple[str, ...]  # above the maps; none but on the first of lines with the same layers


def lines_of(sheets: Sequence[str], at_most: int) -> list[Line]:
    """Return sheets in lines of equal length, which hold no more than so many layers.

    Args:
        sheets: Their names; the first number in a name is its layer.
        at_most: Layers in a line.
    """
    kinds = by_kind(sheets)
    layers = layers_of(kinds)
    length = -(-len(layers) // -(-len(layers) // at_most))
    chunks = [layers[start : start + length] for start in range(0, len(layers), length)]
    return [
        Line(kind, tuple(name_at_layer.get(layer) for layer in chunk), tuple(chunk) if n == 0 else ())
        for chunk in chunks
        for n, (kind, name_at_layer) in enumerate(kinds.items())
    ]


def by_kind(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return taps or sheets by what they are and in which layer: {attn: {"0": ..., "1": ...}, mlp: ...}.

    Kinds go by as much of the end of their names as tells them apart; what is in no layer is in the layer "".
    """
    kinds: dict[str, dict[str, str]] = {}
    for name in names:
        layer = re.search(r"\d+", name)
        kinds.setdefault(re.sub(r"\d+", "*", name, count=1), {})[layer.group() if layer else ""] = name
    for n in range(1, 1 + max(kind.count(".") for kind in kinds)):
        short = [".".join(kind.split(".")[-n:]) for kind in kinds]
        if len(set(short)) == len(kinds) and "*" not in short:
            return dict(zip(short, kinds.values(), strict=True))
    return kinds


def layers_of(kinds: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the layers that there are of any kind, from the first to the last.

    Args:
        kinds: From `by_kind`.
    """
    return sorted(
        {layer for name_at_layer in kinds.values() for layer in name_at_layer},
        key=lambda layer: (not layer, int(layer or 0)),
    )


def symmetric(t: np.ndarray) -> Normalize:
    """Return a scale of colours that is white at 0 and full where all but the most extreme values end."""
    finite = np.abs(t[np.isfinite(t)])
    limit = float(np.percentile(finite, 99.5)) if len(finite) else 1.0
    return Normalize(-(limit or 1.0), limit or 1.0)


def cell_size(lines: Sequence[Line], width: float, height: float) -> float:
    """Return how large maps can be in a space, in inches; where there is too little for any, it is not kept to.

    Args:
        lines: From `lines_of`.
        width: Of the space, in inches.
        height: Of the space, in inches.
    """
    columns, heads = len(lines[0].sheets), sum(bool(line.layers) for line in lines)
    wide = (width - LEFT) / columns - _GAP
    high = (height - heads * HEAD) / len(lines) - FOOT
    return max(_SMALLEST, min(wide, high, _LARGEST))


def size_of(lines: Sequence[Line], cell: float) -> tuple[float, float]:
    """Return the width and height that lines of maps take, in inches.

    Args:
        lines: From `lines_of`.
        cell: Edge of a map, in inches.
    """
    heads = sum(bool(line.layers) for line in lines)
    return LEFT + len(lines[0].sheets) * (cell + _GAP), heads * HEAD + len(lines) * (cell + FOOT)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes at a place of a figure.

    Args:
        figure: Where.
        left: Inches from the left edge.
        top: Inches from the upper edge.
        width: In inches.
        height: In inches.
    """
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def write(figure: Figure, left: float, top: float, text: str, **look: object) -> None:
    """Write a text, its upper left corner at a place of a figure.

    Args:
        figure: Where.
        left: Inches from the left edge.
        top: Inches from the upper edge.
        text: What.
        look: Of the text (matplotlib).
    """
    across, down = figure.get_size_inches()
    figure.text(left / across, 1 - top / down, text, **({"va": "top", "ha": "left"} | look))  # pyright: ignore[reportArgumentType]


def draw_sheets(
    figure: Figure, lines: Sequence[Line], t: Mapping[str, xr.DataArray], norm: Normalize, cell: float,
    left: float, top: float,
) -> dict[str, Axes]:  # fmt: skip
    """Draw the maps of one model and return the axes of each sheet.

    Args:
        figure: Where.
        lines: From `lines_of`.
        t: Welch's t on each sheet, {sheet: (y, x)}; sheets without one stay empty.
        norm: The scale of colours.
        cell: Edge of a map, in inches.
        left: Of the first map's labels, inches from the left edge.
        top: Of the layers' names, inches from the upper edge.
    """
    drawn: dict[str, Axes] = {}
    for line in lines:
        top += HEAD * bool(line.layers)
        for column, sheet in enumerate(line.sheets):
            if sheet is None or sheet not in t:
                continue
            axes = drawn[sheet] = place(figure, left + LEFT + column * (cell + _GAP), top, cell, cell)
            axes.imshow(_trimmed(t[sheet].values), cmap="RdBu_r", norm=norm, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for column, layer in enumerate(line.layers):
            x = left + LEFT + column * (cell + _GAP)
            name = f"layer {layer}" if layer and cell >= _NAMED else layer
            write(figure, x + cell / 2, top - 0.03, name, ha="center", va="bottom", fontsize=SMALL)
        if line.layers and cell < _NAMED:
            write(figure, left + LEFT - 0.04, top - 0.03, "layer", ha="right", va="bottom", fontsize=SMALL)
        name = broken(line.kind.replace(".", ". "), 9, 2).replace(". ", ".")
        write(figure, left + LEFT - 0.05, top + cell / 2, name, ha="right", va="center", ma="center", rotation=90,
              fontsize=SMALL if cell > 0.5 else TINY)  # fmt: skip
        top += cell + FOOT
    return drawn


def outline(axes: Axes, groups: xr.DataArray, width: float = 0.7) -> None:
    """Draw the edges between cells of different groups.

    Args:
        axes: Those of the map.
        groups: What group a cell is in; 0 and nan are none.
        width: Of the lines, in points.
    """
    padded = np.pad(np.nan_to_num(groups.values.astype(float)), 1)
    down = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])  # an edge above row y
    across = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    edges = [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in down]
    edges += [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in across]
    axes.add_collection(LineCollection(edges, colors=INK, linewidths=width, clip_on=False))


def draw_scale(figure: Figure, norm: Normalize, label: str, left: float, top: float, height: float) -> None:
    """Draw the colour bar of maps.

    Args:
        figure: Where.
        norm: The scale of colours.
        label: What it is of.
        left: Inches from the left edge.
        top: Inches from the upper edge.
        height: Of the space that it stands in the middle of, in inches.
    """
    length = min(height - 0.2, 1.3)
    axes = place(figure, left, top + (height - length) / 2, _BAR, length)
    bar = figure.colorbar(ScalarMappable(norm, "RdBu_r"), cax=axes, extend="both")
    bar.set_label(broken(label, 24, 2), fontsize=SMALL)
    bar.outline.set_linewidth(0)


def _trimmed(grid: np.ndarray) -> np.ndarray:
    """Return a map without what lies beyond its last cells: in a file all sheets are as large as the largest."""
    occupied = np.argwhere(np.isfinite(grid))
    y, x = occupied.max(axis=0) + 1 if len(occupied) else grid.shape
    return grid[:y, :x]
