"""Maps on their sheets, and how clustered they are beside their nulls."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from toposheet.figures.numbers import number
from toposheet.figures.style import COLOURS, MUTED, STYLE


def contrast_maps(t: xr.DataArray, morans_i: Mapping[tuple[str, str], float], title: str) -> Figure:
    """Return the t-maps of one contrast, the models side by side, on one symmetric scale.

    Args:
        t: Welch's t over (model, sheet, y, x).
        morans_i: Moran's I for each (model, sheet), written under its map; sheets a model lacks stay empty.
        title: Of the figure.
    """
    models, sheets = t["model"].values.tolist(), t["sheet"].values.tolist()
    rows = rows_of_sheets(sheets)
    columns = max(len(row) for row in rows.values())
    beside = len(models) * columns <= 12
    norm = symmetric(t.values)
    with mpl.rc_context(STYLE):
        width = 1.05 * columns * (len(models) if beside else 1) + 1.6
        height = (1.3 * len(rows) + 0.3) * (1 if beside else len(models)) + 0.5
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
        main, side = figure.subfigures(1, 2, width_ratios=(width - 0.8, 0.8), squeeze=False)[0]
        parts = main.subfigures(*((1, len(models)) if beside else (len(models), 1)), squeeze=False).flat
        for model, part in zip(models, parts, strict=True):
            part.suptitle(model, fontsize=10, fontweight="bold")
            of_model = {sheet: t.sel(model=model, sheet=sheet) for sheet in sheets if (model, sheet) in morans_i}
            for sheet, axes in draw_sheets(part, rows, of_model, norm).items():
                axes.set_xlabel(f"I = {number(morans_i[model, sheet])}", fontsize=8, labelpad=2)
        draw_scale(side, norm, "Welch's t")
        return figure


def symmetric(t: np.ndarray) -> Normalize:
    """Return a scale of colours that is white at 0 and full where all but the most extreme values end."""
    limit = float(np.nanpercentile(np.abs(t), 99.5)) or 1.0
    return Normalize(-limit, limit)


def draw_sheets(
    part: SubFigure, rows: Mapping[str, Sequence[str]], t: Mapping[str, xr.DataArray], norm: Normalize
) -> dict[str, Axes]:
    """Draw the maps of one model, kinds of taps in rows and layers in columns, and return the axes of each sheet.

    Args:
        part: Where.
        rows: From `rows_of_sheets`.
        t: Welch's t on each sheet, {sheet: (y, x)}; sheets without one stay empty.
        norm: The scale of colours.
    """
    columns = max(len(row) for row in rows.values())
    grid = part.subplots(len(rows), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    drawn: dict[str, Axes] = {}
    for row, (kind, names) in enumerate(rows.items()):
        for column, sheet in enumerate(names):
            if sheet not in t:
                continue
            axes = drawn[sheet] = grid[row, column]
            axes.set_axis_on()
            axes.imshow(t[sheet], cmap="RdBu_r", norm=norm, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if row == 0 and (layer := layer_of(sheet)):
                axes.set_title(f"layer {layer}" if columns < 9 else layer, fontsize=8, pad=3)
            if column == 0:
                axes.set_ylabel(kind, fontsize=8)
    return drawn


def draw_scale(part: SubFigure, norm: Normalize, label: str) -> None:
    """Draw the colour bar of maps."""
    bar = part.colorbar(ScalarMappable(norm, "RdBu_r"), cax=part.add_axes((0.05, 0.2, 0.22, 0.6)), extend="both")
    bar.set_label(label)
    bar.outline.set_linewidth(0)


def clustering(summary: pd.DataFrame) -> Figure:
    """Return Moran's I of every tap, models against their place-null (grey) and label-null (blue)."""
    contrasts, readouts = list(dict.fromkeys(summary["contrast"])), sorted(set(summary["fwhm_mm"]))
    with mpl.rc_context(STYLE):
        n_taps = summary["tap"].nunique()
        size = (max(2.6, 0.22 * n_taps) * len(contrasts) + 1.2, 2.3 * len(readouts) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(readouts), len(contrasts), squeeze=False, sharey="row")
        for line, fwhm in zip(grid, readouts, strict=True):
            for axes, contrast in zip(line, contrasts, strict=True):
                rows = summary.query("contrast == @contrast and fwhm_mm == @fwhm")
                models = list(dict.fromkeys(rows["model"]))
                for colour, model in zip(COLOURS, models, strict=False):
                    of_model = rows.query("model == @model")
                    x = np.arange(len(of_model)) + 0.42 * (models.index(model) - (len(models) - 1) / 2)
                    for name, null, shade in (
                        ("place", "null", "#bbbbbb"),
                        ("label", "label_null", "#92c5de"),
                    ):
                        mean, sd = of_model[f"{null}_mean"], of_model[f"{null}_sd"]
                        label = f"{name}-null ± 2 sd" if model == models[0] else None
                        offset = -0.1 if null == "null" else 0.1
                        axes.vlines(x + offset, mean - 2 * sd, mean + 2 * sd, color=shade, lw=3, label=label)
                    axes.plot(x, of_model["morans_i"], "o", color=colour, ms=4.5, label=model)
                taps = list(dict.fromkeys(rows["tap"]))
                axes.set_xticks(
                    np.arange(len(taps)), [_short(tap) for tap in taps], rotation=60, ha="right", fontsize=7
                )
                if fwhm == 0:
                    axes.axhline(0, color=MUTED, lw=0.6)
                axes.set_title(f"{contrast}, {_readout(fwhm)}", fontsize=9)
            line[0].set_ylabel("Moran's I")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
        return figure


_NULLS = (("place", "null", "#555555", -1), ("label", "label_null", "#2166ac", 1))  # side of the bar's middle


def clustering_bars(statistics: pd.DataFrame, contrasts: Sequence[str]) -> Figure:
    """Return the mean Moran's I over taps of several contrasts, raw and with readout, its nulls drawn in.

    Args:
        statistics: Rows of `topography_statistics` of one or more models.
        contrasts: Those that are shown, in this order.
    """
    rows = statistics[statistics["statistic"] == "morans_i"]
    models, readouts = list(dict.fromkeys(rows["model"])), sorted(set(rows["fwhm_mm"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 1.1 * len(contrasts) * len(readouts) + 1.6), 3.3), layout="constrained")
        panels = figure.subplots(1, len(readouts), squeeze=False, sharey=True)[0]
        width = 0.8 / len(models)
        for axes, fwhm in zip(panels, readouts, strict=True):
            for n, (model, colour) in enumerate(zip(models, itertools.cycle(COLOURS), strict=False)):
                of_model = rows[(rows["model"] == model) & (rows["fwhm_mm"] == fwhm)]
                at = np.arange(len(contrasts)) + width * (n - (len(models) - 1) / 2)
                taps = of_model[of_model["tap"] != "*"]
                of_taps = [taps[taps["contrast"] == contrast]["value"] for contrast in contrasts]
                whole = of_model[of_model["tap"] == "*"].set_index("contrast").loc[list(contrasts)]
                axes.bar(at, whole["value"], 0.9 * width, color=colour, alpha=0.65, label=model)
                for x, values in zip(at, of_taps, strict=True):
                    jitter = np.linspace(-0.25, 0.25, len(values)) * width
                    axes.plot(x + jitter, values, ".", color=colour, ms=2.5, alpha=0.8)
                for name, null, shade, side in _NULLS:
                    label = f"{name}-null ± 2 sd" if n == 0 else None
                    mean, sd = whole[f"{null}_mean"], whole[f"{null}_sd"]
                    axes.errorbar(at + side * 0.12 * width, mean, 2 * sd, fmt="_", color=shade, ms=5, lw=2, label=label)
            axes.set_xticks(np.arange(len(contrasts)), [c.replace(" ", "\n") for c in contrasts], fontsize=8)
            axes.axhline(0, color=MUTED, lw=0.6)
            axes.set_title(_readout(fwhm))
        panels[0].set_ylabel("Moran's I, mean over taps")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
        return figure


def _readout(fwhm_mm: float) -> str:
    return "raw" if fwhm_mm == 0 else f"readout {fwhm_mm:g} mm"


def rows_of_sheets(sheets: list[str]) -> dict[str, list[str]]:
    """Return sheets grouped into rows of like taps: {attn: [layer 0, layer 1, ...], mlp: [...]}."""
    rows: dict[str, list[str]] = {}
    for sheet in sheets:
        rows.setdefault(re.sub(r"\d+", "*", sheet), []).append(sheet)
    short = [kind.rsplit(".", 1)[-1] for kind in rows]
    return dict(zip(short if len(set(short)) == len(rows) else rows, rows.values(), strict=True))


def layer_of(sheet: str) -> str | None:
    """Return the number of the layer in the name of a sheet or tap, if it has one."""
    found = re.search(r"\d+", sheet)
    return found.group() if found else None


def _short(tap: str) -> str:
    return f"{layer_of(tap) or ''} {tap.rsplit('.', 1)[-1]}".strip()
