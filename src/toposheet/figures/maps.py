"""Figure of the maps of contrasts, raw and with readout."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from toposheet.figures.sheets import (
    LEFT,
    cell_size,
    draw_scale,
    draw_sheets,
    has_borders,
    is_fine,
    lines_of,
    size_of,
    stretch_of,
    symmetric,
    trimmed,
    write,
)
from toposheet.figures.style import HEIGHT, SMALL, STYLE, TINY, WIDTH, broken
from toposheet.wording import number, readout_name

_LAYERS, _ABREAST = 16, 12  # most layers in a line of one panel, and in a line of several panels
_TITLE, _LEGEND = 0.26, 0.11  # inches: title, one line of the legend below it
_HEADING, _GAP = 0.2, 0.1  # inches: one line of a panel's name, space below the maps of a readout
_NOTE = 0.13  # inches: one line of a note above the maps of a readout
_READOUT, _SCALE = 0.2, 0.65  # inches: name of the readout, left of the maps; colour bar, right of the maps


def draw_contrast_maps(
    t: xr.DataArray,
    significant: xr.DataArray,
    notes: Mapping[tuple[str, float], str],
    morans_i: Mapping[tuple[str, float, str], float],
    title: str,
    q: float,
    values: str = "Welch's t",
    marked: tuple[str, str] | None = None,
    below: str = "Moran's I",
) -> Figure:
    """Return a figure of maps of t or d, with a panel for each model (or model and contrast), a row for each readout.

    Panels are side by side if they fit, and below each other if they do not. Significant units are outlined; a map
    without a significant unit is pale. Where units are too small for outlines, only significant units have full colour.
    All panels share the colour scale of a readout. Different readouts have different scales, because averaging over
    neighbouring units makes t larger.

    Args:
        t: The values over (panel, fwhm_mm, sheet, y, x).
        significant: True for units to outline, with the same dimensions.
        notes: A note above the maps of each (panel, fwhm_mm): the number of significant units.
        morans_i: Moran's I for each (panel, fwhm_mm, sheet), written below the map. A sheet without a value in a panel
            is not drawn there.
        title: Title of the figure.
        q: The bound of the false discovery rate of significant units. It is written above the maps.
        values: Name of the values, for the colour bars.
        marked: What outlined units are, and what a map without one of them has. None: significant units.
        below: What the numbers below the maps are.
    """
    panels, readouts = t["panel"].values.tolist(), t["fwhm_mm"].values.tolist()
    sheets = {p: [s for s in t["sheet"].values.tolist() if (p, readouts[0], s) in morans_i] for p in panels}
    stretch = {p: stretch_of(t.sel(panel=p, fwhm_mm=readouts[0], sheet=sheet) for sheet in sheets[p]) for p in panels}
    lines = {panel: lines_of(panel_lines, _LAYERS, stretch[panel]) for panel, panel_lines in sheets.items()}
    columns = max(len(panel_lines[0].sheets) for panel_lines in lines.values())
    alike = len(set(map(tuple, sheets.values()))) == 1
    abreast = max(1, _ABREAST // columns) if alike and max(stretch.values()) == 1 else 1
    rows = [panels[start : start + abreast] for start in range(0, len(panels), abreast)]
    across = (WIDTH - _READOUT - _SCALE) / len(rows[0])
    names = {panel: broken(panel, int(14 * min(across, 0.3 + columns)), 2) for panel in panels}
    heading = _HEADING * (1 + max(name.count("\n") for name in names.values()))
    down = (HEIGHT - _TITLE - 3 * _LEGEND - len(rows) * heading) / (len(rows) * len(readouts)) - _GAP - 2 * _NOTE
    largest = {panel: cell_size(panel_lines, across, down) for panel, panel_lines in lines.items()}
    cells = {p: min(largest[q] for q in panels if stretch[q] == stretch[p]) for p in panels}
    sizes = {panel: size_of(panel_lines, cells[panel]) for panel, panel_lines in lines.items()}
    noted = {key: broken(note, max(12, int(17 * (sizes[key[0]][0] - LEFT))), 2) for key, note in notes.items()}
    noting = _NOTE * (1 + max(note.count("\n") for note in noted.values()))
    bands = [noting + max(sizes[panel][1] for panel in row) + _GAP for row in rows]
    wide = max(sum(sizes[panel][0] for panel in row) for row in rows)
    full = _READOUT + wide + _SCALE
    one, none = marked or (f"q < {q:g}", "no significant unit")
    first = t.sel(fwhm_mm=readouts[0])
    maps = [(panel, first.sel(panel=panel, sheet=sheet)) for panel in panels for sheet in sheets[panel]]
    fine = [is_fine(trimmed(grid.values).shape, cells[panel] * stretch[panel]) for panel, grid in maps]
    marks = "full colour" if all(fine) else "outlines, or full colour on small maps" if any(fine) else "outlines"
    borders = "; dashed: borders of taps" if any(has_borders(grid) for _, grid in maps) else ""
    legend = f"{marks}: {one}{'' if all(fine) else f'; pale map: {none}'}{borders}; below each map: {below}"
    legend = broken(legend, int(20 * full), 3)
    head = _TITLE + _LEGEND * (2 + legend.count("\n"))
    height = head + sum(heading + len(readouts) * band for band in bands)
    norms = {fwhm: symmetric(t.sel(fwhm_mm=fwhm).values) for fwhm in readouts}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(full, height))
        write(figure, 0.06, 0.06, broken(title, int(12 * full), 1), fontsize=9)
        write(figure, 0.06, _TITLE, legend, fontsize=TINY)
        top = head
        for row, band in zip(rows, bands, strict=True):
            for n, panel in enumerate(row):
                left = _READOUT + n * sizes[panel][0]
                write(figure, left + LEFT, top, names[panel], fontweight="bold")
                for m, fwhm in enumerate(readouts):
                    panel_maps = {sheet: t.sel(panel=panel, fwhm_mm=fwhm, sheet=sheet) for sheet in sheets[panel]}
                    y = top + heading + m * band
                    write(figure, left + LEFT, y, noted[panel, fwhm], fontsize=SMALL)
                    y += noting
                    mask = significant.sel(panel=panel, fwhm_mm=fwhm)
                    groups = {sheet: mask.sel(sheet=sheet) for sheet in sheets[panel]}
                    drawn = draw_sheets(figure, lines[panel], panel_maps, groups, norms[fwhm], cells[panel], left, y)
                    for sheet, axes in drawn.items():
                        value = number(morans_i[panel, fwhm, sheet]).replace("-", "−")
                        axes.set_xlabel(value, fontsize=TINY, labelpad=1.5)
            for m, fwhm in enumerate(readouts):
                y = top + heading + m * band
                write(figure, 0.05, y + band / 2, readout_name(fwhm), rotation=90, va="center", fontsize=SMALL)
                draw_scale(figure, norms[fwhm], values, _READOUT + wide + 0.08, y, band)
            top += heading + len(readouts) * band
        return figure
