"""Figures of Moran's I of maps, with its nulls."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposheet.figures.sheets import by_kind, layers_of
from toposheet.figures.style import (
    HEIGHT,
    LABEL,
    MUTED,
    PLACE,
    SMALL,
    STYLE,
    TINY,
    WIDTH,
    broken,
    colour,
    key,
    keys_below,
)
from toposheet.wording import readout_name

_ACROSS = 5  # most contrasts in a row of `morans_i_marks`
_BARS = 7  # most contrasts in a row of `morans_i_bars`
_MARKERS = "os^Dv"
_FAINT = 0.45
_NULLS = (("place", "", PLACE, -1), ("label", "label_", LABEL, 1))  # name, prefix of columns, colour, side of the value


def morans_i_marks(summary: pd.DataFrame) -> Figure:
    """Return a figure of Moran's I of every tap, with its place-null and its label-null.

    Each model and readout has a row, and each contrast has a column. Layers are from left to right. Within a layer, the
    kinds of taps are side by side.

    Args:
        summary: The table of `summary_of`, of one or more models.
    """
    contrasts, readouts = list(dict.fromkeys(summary["contrast"])), sorted(set(summary["fwhm_mm"]))
    models = list(dict.fromkeys(summary["model"]))
    chunks = [contrasts[start : start + _ACROSS] for start in range(0, len(contrasts), _ACROSS)]
    rows = [(chunk, model, fwhm) for chunk in chunks for model in models for fwhm in readouts]
    columns, limits = len(chunks[0]), {fwhm: _limits(summary[summary["fwhm_mm"] == fwhm]) for fwhm in readouts}
    kinds = list(dict.fromkeys(kind for model in models for kind in by_kind(_taps(summary, model))))
    with mpl.rc_context(STYLE):
        size = (min(WIDTH, 1.4 + 2.6 * columns), min(HEIGHT, 1.45 * len(rows) + 0.4))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for line, (chunk, model, fwhm) in zip(grid, rows, strict=True):
            taps = by_kind(_taps(summary, model))
            layers = layers_of(taps)
            for axes, contrast in zip(line, chunk, strict=False):
                model_rows = summary[(summary["model"] == model) & (summary["fwhm_mm"] == fwhm)]
                model_rows = model_rows[model_rows["contrast"] == contrast].set_index("tap")
                for n, (kind, tap_at_layer) in enumerate(taps.items()):
                    x = np.array([layers.index(layer) for layer in tap_at_layer]) + 0.8 * ((n + 0.5) / len(taps) - 0.5)
                    tap_rows = model_rows.loc[list(tap_at_layer.values())]
                    for name, prefix, shade, side in _NULLS:
                        mean, sd = tap_rows[f"{prefix}null_mean"], tap_rows[f"{prefix}null_sd"]
                        axes.vlines(x + side * 0.12 / len(taps), mean - 2 * sd, mean + 2 * sd, color=shade, lw=1.6,
                                    alpha=_FAINT, label=f"{name}-null ± 2 sd")  # fmt: skip
                    marker = _MARKERS[kinds.index(kind) % len(_MARKERS)]
                    axes.plot(x, tap_rows["morans_i"], marker, color=colour(models.index(model)), ms=3, label=kind)
                every = -(-len(layers) * columns // 36)
                axes.set_xticks(np.arange(len(layers))[::every], layers[::every], fontsize=TINY)
                axes.set(ylim=limits[fwhm], xlim=(-0.6, len(layers) - 0.4))
                if fwhm == 0:
                    axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
                if model == models[0] and fwhm == readouts[0]:
                    axes.set_title(broken(contrast, 90 // columns, 2))
                if axes is not line[0]:
                    axes.set_yticklabels([])
            for axes in line[len(chunk) :]:
                axes.set_axis_off()
            line[0].set_ylabel(f"{broken(model, 18, 2)}\n{readout_name(fwhm)}\nMoran's I", fontsize=SMALL)
        for axes in grid[-1, : len(chunks[-1])]:
            axes.set_xlabel("layer")
        marks = [Line2D([], [], ls="", marker=_MARKERS[n % len(_MARKERS)], color=MUTED, ms=3, label=key(kind))
                 for n, kind in enumerate(kinds)]  # fmt: skip
        keys_below(figure, [*marks, *_null_keys(_FAINT)])
        return figure


def morans_i_bars(statistics: pd.DataFrame, contrasts: Sequence[str], whole: str) -> Figure:
    """Return a figure of Moran's I (mean over taps) of several contrasts, raw and with readout, with its nulls.

    Args:
        statistics: The table of `topography_statistics`, of one or more models. Negative controls are not drawn, but
            the axes are long enough for their values.
        contrasts: The contrasts to show, in this order.
        whole: The value of `tap` in the rows of the mean over taps.
    """
    morans_i_rows = statistics[statistics["statistic"] == "morans_i"]
    shown = morans_i_rows[morans_i_rows["negative_control"] == ""]
    models, readouts = list(dict.fromkeys(morans_i_rows["model"])), sorted(set(morans_i_rows["fwhm_mm"]))
    n_chunks = -(-len(contrasts) // _BARS)
    length = -(-len(contrasts) // n_chunks)
    chunks = [list(contrasts[start : start + length]) for start in range(0, len(contrasts), length)]
    rows = [(chunk, fwhm) for chunk in chunks for fwhm in readouts]
    width = 0.8 / len(models)
    with mpl.rc_context(STYLE):
        size = (min(WIDTH, 1.2 + 1.5 * length), min(HEIGHT, 1.9 * len(rows) + 0.4))
        figure = Figure(figsize=size, layout="constrained")
        for axes, (chunk, fwhm) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
            for n, model in enumerate(models):
                model_rows = shown[(shown["model"] == model) & (shown["fwhm_mm"] == fwhm)]
                at = np.arange(len(chunk)) + width * (n - (len(models) - 1) / 2)
                taps = model_rows[model_rows["tap"] != whole]
                means = model_rows[model_rows["tap"] == whole].set_index("contrast").loc[chunk]
                axes.bar(at, means["value"], 0.9 * width, color=colour(n), alpha=_FAINT)
                for x, contrast in zip(at, chunk, strict=True):
                    values = taps[taps["contrast"] == contrast]["value"]
                    jitter = np.linspace(-0.35, 0.35, len(values)) * width
                    axes.plot(x + jitter, values, ".", color=colour(n), ms=2.5, mew=0)
                for _, prefix, shade, side in _NULLS:
                    mean, sd = means[f"{prefix}null_mean"], means[f"{prefix}null_sd"]
                    x = at + side * 0.15 * width
                    axes.vlines(x, mean - 2 * sd, mean + 2 * sd, color=shade, lw=2.5, zorder=3)
                    axes.plot(x, mean, "_", color=shade, ms=5, zorder=3)
            axes.set_xticks(np.arange(len(chunk)), [broken(contrast, 16) for contrast in chunk])
            low, high = _limits(morans_i_rows[morans_i_rows["fwhm_mm"] == fwhm], "value")
            axes.set(xlim=(-0.6, length - 0.4), ylim=(min(low, 0.0), max(high, 0.0)))
            axes.tick_params("x", length=0)
            axes.axhline(0, color=MUTED, lw=0.6)
            axes.set_ylabel(f"{readout_name(fwhm)}\nMoran's I, mean over taps")
        keys = [Patch(color=colour(n), alpha=_FAINT, lw=0, label=key(model)) for n, model in enumerate(models)]
        dot = Line2D([], [], ls="", marker=".", color=MUTED, ms=4, label="one tap")
        keys_below(figure, [*keys, dot, *_null_keys()])
        return figure


def _taps(summary: pd.DataFrame, model: str) -> list[str]:
    return list(dict.fromkeys(summary[summary["model"] == model]["tap"]))


def _limits(rows: pd.DataFrame, column: str = "morans_i") -> tuple[float, float]:
    """Return the limits of an axis that is long enough for all values and nulls."""
    parts = [rows[column]]
    for _, prefix, _, _ in _NULLS:
        parts += [rows[f"{prefix}null_mean"] + sign * 2 * rows[f"{prefix}null_sd"] for sign in (-1, 1)]
    values = pd.concat(parts).dropna()
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _null_keys(alpha: float = 1.0) -> list[Line2D]:
    return [
        Line2D([], [], color=shade, alpha=alpha, lw=2.5, label=f"{name}-null ± 2 sd") for name, _, shade, _ in _NULLS
    ]
