"""Layout of maps on a page: kinds of taps in rows, layers in columns, all maps of one size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import Normal, Stroke

from toposheet.figures.style import INK, SMALL, TINY, broken

HEAD, FOOT = 0.16, 0.16  # inches: names of layers above the maps; a number below each map
LEFT = 0.36  # inches: kinds of taps, left of the first column
_GAP = 0.06  # inches between maps
_BAR = 0.1  # inches: width of the colour bar
_SMALLEST, _LARGEST = 0.2, 1.0  # inches: edge of a map
_NAMED = 0.47  # inches: width of the text "layer 10"
_LETTER = 0.065  # inches: width of a letter of the name of a kind
_NAME, _INSIDE = 0.1, 0.02  # inches: height of the name of a tap on a map, and its distance from the left
_BEHIND = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.3}  # a name of a tap on a map
_PALE = 0.3  # opacity of a map without an outlined unit, so that it does not look like a finding
_LINE, _EDGE = 0.7, 0.5  # points: width of an outline, and of its white edge on each side
_WIDE = 2.0  # width of a sheet, divided by its height, above which maps get more space in width
_LOWEST = 0.05  # inches: least height of a wide map
_MOST_BORDERS = 0.25  # share of neighbours of different taps above which borders are not drawn
_FINE = 1.5  # points: the edge of a unit below which outlines would hide it


@dataclass(frozen=True)
class Line:
    """A line of maps: some layers of one kind of taps.

    Args:
        kind: The kind of the taps, for example `attn`.
        sheets: The sheet in each column. None: the column stays empty.
        layers: Names of the layers, written above the maps. Empty: another line above has the same layers.
        stretch: Width of the space of a map, divided by its height.
    """

    kind: str
    sheets: tuple[str | None, ...]
    layers: tuple[str, ...]
    stretch: float = 1.0


def lines_of(sheets: Sequence[str], at_most: int, stretch: float = 1.0) -> list[Line]:
    """Return sheets in lines of equal length.

    Args:
        sheets: Names of the sheets. The first number in a name is its layer.
        at_most: Largest number of layers in a line.
        stretch: Width of the space of each map, divided by its height, see `stretch_of`.
    """
    kinds = by_kind(sheets)
    layers = layers_of(kinds)
    length = -(-len(layers) // -(-len(layers) // at_most))
    chunks = [layers[start : start + length] for start in range(0, len(layers), length)]
    return [
        Line(kind, tuple(name_at_layer.get(layer) for layer in chunk), tuple(chunk) if n == 0 else (), stretch)
        for chunk in chunks
        for n, (kind, name_at_layer) in enumerate(kinds.items())
    ]


def stretch_of(maps: Iterable[xr.DataArray]) -> float:
    """Return the width of the space for each map, divided by its height: 1, but more if a sheet is very wide.

    Args:
        maps: The maps. Empty rows and columns at their ends do not count.
    """
    ratios = [width / height for height, width in (trimmed(grid.values).shape for grid in maps)]
    widest = max(ratios, default=1.0)
    return widest if widest >= _WIDE else 1.0


def by_kind(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return taps or sheets by kind and layer: {attn: {"0": name, "1": name}, mlp: {...}}.

    A kind is called by the end of its names, as short as possible but different for each kind. A name without a number
    has the layer "".
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
    """Return the layers of all kinds together, in order.

    Args:
        kinds: The kinds, from `by_kind`.
    """
    return sorted(
        {layer for name_at_layer in kinds.values() for layer in name_at_layer},
        key=lambda layer: (not layer, int(layer or 0)),
    )


def symmetric(t: np.ndarray) -> Normalize:
    """Return a colour scale that is symmetric around 0 and ends at the 99.5th percentile of |t|."""
    finite = np.abs(t[np.isfinite(t)])
    limit = float(np.percentile(finite, 99.5)) if len(finite) else 1.0
    return Normalize(-(limit or 1.0), limit or 1.0)


def cell_size(lines: Sequence[Line], width: float, height: float) -> float:
    """Return the largest height of a map, in inches, such that all lines fit in a space.

    It is at least 0.2 inches, unless maps are wide; wide maps take at least half of the width. If the space is too
    small, the maps take more than the space.

    Args:
        lines: The lines, from `lines_of`.
        width: Width of the space, in inches.
        height: Height of the space, in inches.
    """
    columns, heads = len(lines[0].sheets), sum(bool(line.layers) for line in lines)
    wide = ((width - LEFT) / columns - _GAP) / lines[0].stretch
    high = (height - heads * HEAD) / len(lines) - FOOT
    if lines[0].stretch > 1:
        return max(_LOWEST, min(wide, max(high, wide / 2), _LARGEST))
    return max(_SMALLEST, min(wide, high, _LARGEST))


def size_of(lines: Sequence[Line], cell: float) -> tuple[float, float]:
    """Return the width and the height of lines of maps, in inches.

    Args:
        lines: The lines, from `lines_of`.
        cell: Height of a map, in inches.
    """
    heads = sum(bool(line.layers) for line in lines)
    return LEFT + len(lines[0].sheets) * (cell * lines[0].stretch + _GAP), heads * HEAD + len(lines) * (cell + FOOT)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return new axes at a position of a figure.

    Args:
        figure: The figure.
        left: Distance from the left edge of the figure, in inches.
        top: Distance from the upper edge of the figure, in inches.
        width: Width of the axes, in inches.
        height: Height of the axes, in inches.
    """
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def write(figure: Figure, left: float, top: float, text: str, **look: object) -> None:
    """Write a text into a figure, with its upper left corner at a position.

    Args:
        figure: The figure.
        left: Distance from the left edge of the figure, in inches.
        top: Distance from the upper edge of the figure, in inches.
        text: The text.
        look: Properties of the text, as in `matplotlib.figure.Figure.text`.
    """
    across, down = figure.get_size_inches()
    figure.text(left / across, 1 - top / down, text, **({"va": "top", "ha": "left"} | look))  # pyright: ignore[reportArgumentType]


def draw_sheets(
    figure: Figure, lines: Sequence[Line], t: Mapping[str, xr.DataArray], groups: Mapping[str, xr.DataArray],
    norm: Normalize, cell: float, left: float, top: float, fades: bool = True,
) -> dict[str, Axes]:  # fmt: skip
    """Draw the maps of one model with outlines of groups of units, and return the axes of each sheet.

    If maps fade, a map without a unit in a group is pale. Where units are too small for outlines (`is_fine`), all units
    outside of the groups are pale instead.

    Args:
        figure: The figure.
        lines: The lines of sheets, from `lines_of`.
        t: Welch's t on each sheet, {sheet: (y, x)}. A sheet without a map stays empty.
        groups: The group of each cell, {sheet: (y, x)}; see `outline`.
        norm: The colour scale.
        cell: Height of a map, in inches.
        left: Left edge of the kinds of taps, in inches from the left edge of the figure.
        top: Upper edge of the names of layers, in inches from the upper edge of the figure.
        fades: Whether maps fade.
    """
    drawn: dict[str, Axes] = {}
    for line in lines:
        top, wide = top + HEAD * bool(line.layers), cell * line.stretch
        for column, sheet in enumerate(line.sheets):
            if sheet is None or sheet not in t:
                continue
            axes = drawn[sheet] = place(figure, left + LEFT + column * (wide + _GAP), top, wide, cell)
            values = trimmed(t[sheet].values)
            grouped = _grouped(groups[sheet])[: values.shape[0], : values.shape[1]] > 0
            fine = is_fine(values.shape, wide)
            opacity = 1.0
            if fades:
                opacity = np.where(grouped, 1.0, _PALE) if fine else 1.0 if grouped.any() else _PALE
            axes.imshow(values, cmap="RdBu_r", norm=norm, interpolation="nearest", alpha=opacity)
            if not (fine and fades):
                outline(axes, groups[sheet], min(1, cell / 0.6))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if has_borders(t[sheet]):
                _draw_borders(axes, t[sheet]["tap"], min(wide / values.shape[1], cell / values.shape[0]))
        for column, layer in enumerate(line.layers):
            x = left + LEFT + column * (wide + _GAP)
            name = f"layer {layer}" if layer and cell >= _NAMED else layer
            write(figure, x + wide / 2, top - 0.03, name, ha="center", va="bottom", fontsize=SMALL)
        if any(line.layers) and cell < _NAMED:
            write(figure, left + LEFT - 0.04, top - 0.03, "layer", ha="right", va="bottom", fontsize=SMALL)
        words = line.kind.replace(".", ". ").replace("_", "_ ")
        name = broken(words, max(6, int((cell + FOOT) / _LETTER)), 2).replace(". ", ".").replace("_ ", "_")
        write(figure, left + LEFT - 0.05, top + cell / 2, name, ha="right", va="center", ma="center", rotation=90,
              fontsize=SMALL if cell > 0.5 else TINY)  # fmt: skip
        top += cell + FOOT
    return drawn


def _draw_borders(axes: Axes, taps: xr.DataArray, cell_inches: float) -> None:
    """Draw thin lines between the taps of a sheet, and write the layer and the kind of each tap.

    The names stand above the cells of the taps if all taps begin in the first row. Otherwise, as with bands of rows,
    they stand on the left of the cells, on the map. A name without space is left out.

    Args:
        axes: The axes of the map.
        taps: The number of the tap of each cell, over (y, x), with the names of the taps as an attribute.
        cell_inches: Width and height of a cell, in inches.
    """
    numbers = taps.values
    across, down = _borders(taps)
    corners = np.concatenate([np.argwhere(across)[:, ::-1] + [0.5, -0.5], np.argwhere(down)[:, ::-1] + [-0.5, 0.5]])
    ends = corners + np.repeat([[0, 1], [1, 0]], [across.sum(), down.sum()], axis=0)
    axes.add_collection(
        LineCollection(list(np.stack([corners, ends], axis=1)), colors=INK, linewidths=0.6, linestyles=(0, (2, 1.5)))
    )
    of_cells = {
        name: np.argwhere(numbers == number)
        for number, name in enumerate(taps.attrs.get("names", "").split(", "))
        if name and (numbers == number).any()
    }
    if of_cells:
        _name_taps(axes, of_cells, cell_inches)


def has_borders(grid: xr.DataArray) -> bool:
    """Return whether the borders of taps are drawn on a map (y, x).

    They are not drawn on a sheet with one tap, nor where many neighbours are of different taps, as on a sheet whose
    taps are interleaved.
    """
    if "tap" not in grid.coords:
        return False
    shares = [edges.sum() / max(1, edges.size) for edges in _borders(grid["tap"])]
    return 0 < max(shares) <= _MOST_BORDERS


def _borders(taps: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the tap of each cell is another than that of its right neighbour, and of its lower neighbour."""
    return _differ(taps.values), _differ(taps.values.T).T


def _differ(numbers: np.ndarray) -> np.ndarray:
    """Return whether the tap of each cell (y, x) is another than that of its right neighbour. Empty cells have none."""
    left, right = numbers[:, :-1], numbers[:, 1:]
    return (left != right) & np.isfinite(left) & np.isfinite(right)


def _name_taps(axes: Axes, of_cells: Mapping[str, np.ndarray], cell_inches: float) -> None:
    """Write the layer and the kind of each tap above its cells or on them, see `_draw_borders`.

    A kind without a name of its own, as of `model.layers.3`, is left out: "layer 3".

    Args:
        axes: The axes of the map.
        of_cells: Row and column of the cells of each tap: {tap: (cells, 2)}.
        cell_inches: Width and height of a cell, in inches.
    """
    above = all(cells[:, 0].min() == 0 for cells in of_cells.values())
    written: list[np.ndarray] = []  # the places of the names, in inches
    for kind, layers in by_kind(list(of_cells)).items():
        for layer, tap in layers.items():
            name = f"{layer} {kind}" if "*" not in kind else f"layer {layer}"
            (top, left), (bottom, right) = of_cells[tap].min(axis=0), of_cells[tap].max(axis=0)
            size = np.array([_LETTER * len(name), _NAME])
            middle = np.array([left - 0.5, (top + bottom) / 2]) * cell_inches + size / 2 * [1, 0]
            if (right - left + 1) * cell_inches < size[0]:
                continue
            if above:
                axes.text((left + right) / 2, -0.8, name, ha="center", va="bottom", fontsize=TINY)
            elif all((abs(middle - other) >= (size + of_other) / 2).any() for other, of_other in written):
                axes.text(left - 0.5 + _INSIDE / cell_inches, (top + bottom) / 2, name, va="center_baseline",
                          fontsize=TINY, bbox=_BEHIND)  # fmt: skip
                written.append(np.stack([middle, size]))


def is_fine(shape: tuple[int, ...], cell: float) -> bool:
    """Return whether the units of a map are too small for outlines.

    Args:
        shape: Height and width of the map, in units.
        cell: Length of the longer side of the map, in inches.
    """
    return 72 * cell / max(shape) < _FINE


def outline(axes: Axes, groups: xr.DataArray, scale: float) -> None:
    """Draw dark lines with white edges between cells of different groups. Both colours can be seen on any map.

    Args:
        axes: The axes of the map.
        groups: The group of each cell. 0 and nan mean that the cell is in no group.
        scale: Factor of the width of the lines.
    """
    padded = np.pad(_grouped(groups), 1)
    down = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])  # an edge above row y
    across = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    starts = np.concatenate([down, across])[:, ::-1] - 0.5
    ends = starts + np.repeat([[1, 0], [0, 1]], [len(down), len(across)], axis=0)
    # One path with all edges: the white lines lie below all dark ones, and drawing takes a fraction of the time.
    edges = Path(np.stack([starts, ends], axis=1).reshape(-1, 2), np.tile([Path.MOVETO, Path.LINETO], len(starts)))
    white = Stroke(linewidth=scale * (_LINE + 2 * _EDGE), foreground="white")
    axes.add_patch(
        PathPatch(edges, fill=False, edgecolor=INK, linewidth=scale * _LINE, capstyle="projecting", clip_on=False,
                  path_effects=[white, Normal()])
    )  # fmt: skip


def _grouped(groups: xr.DataArray) -> np.ndarray:
    return np.nan_to_num(groups.values.astype(float))


def draw_scale(figure: Figure, norm: Normalize, label: str, left: float, top: float, height: float) -> None:
    """Draw a colour bar in the middle of a space.

    Args:
        figure: The figure.
        norm: The colour scale.
        label: Name of the values.
        left: Left edge of the bar, in inches from the left edge of the figure.
        top: Upper edge of the space, in inches from the upper edge of the figure.
        height: Height of the space, in inches.
    """
    length = min(height - 0.2, 1.3)
    axes = place(figure, left, top + (height - length) / 2, _BAR, length)
    bar = figure.colorbar(ScalarMappable(norm, "RdBu_r"), cax=axes, extend="both")
    bar.set_label(broken(label, 24, 2), fontsize=SMALL)
    bar.outline.set_linewidth(0)


def trimmed(grid: np.ndarray) -> np.ndarray:
    """Return a map without empty rows and columns at its end. Files pad all sheets to the size of the largest sheet."""
    occupied = np.argwhere(np.isfinite(grid))
    y, x = occupied.max(axis=0) + 1 if len(occupied) else grid.shape
    return grid[:y, :x]
