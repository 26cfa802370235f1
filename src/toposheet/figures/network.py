"""Figure of a language network: its place on the sheets and its responses. Also maps with outlined units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposheet.figures.sheets import (
    cell_size,
    draw_scale,
    draw_sheets,
    lines_of,
    place,
    size_of,
    stretch_of,
    symmetric,
    write,
)
from toposheet.figures.style import HEIGHT, INK, MUTED, SMALL, STYLE, TINY, WIDTH, broken, colour
from toposheet.wording import counted

_LAYERS = 8  # most layers in a line
_HEADING, _SCALE, _PROFILE = 0.28, 0.9, 2.5  # inches: heading of a model, colour bar, profiles
_ABOVE, _PANEL, _BETWEEN, _BELOW = 0.36, 0.85, 0.14, 0.5  # inches: the profiles from top to bottom
_DOTS = 12  # most clusters that are drawn as dots
_NOTE = 0.2  # inches: a note above the maps


def network_figure(
    t: xr.DataArray,
    clusters: Mapping[str, xr.DataArray],
    profiles: Mapping[str, pd.DataFrame],
    contrast: str,
    whole: str,
    measures: Mapping[str, str],
) -> Figure:
    """Return a figure with the maps of the localizer and, beside them, the response profiles of each model.

    The clusters are outlined. A map without a cluster is pale. There is a profile for each measure of a response: the
    network as bars with intervals, and its clusters as dots, or many clusters as their median and the range from 10 to
    90 % of them.

    Args:
        t: Welch's t over (model, sheet, y, x), raw. Sheets that a model does not have are nan.
        clusters: For each model the number of the cluster of each cell, over (sheet, y, x). 0 and nan mean that the
            cell is in no cluster.
        profiles: For each model the table of `cortex.profiles`. It is empty for a model without clusters.
        contrast: Name of the contrast, for the colour bar.
        whole: The value of `cluster` in the rows of the whole network.
        measures: The measures to draw, from top to bottom, with their labels.
    """
    models, norm = list(clusters), symmetric(t.values)
    maps = {name: _sheets(t.sel(model=name)) for name in models}
    lines = {name: lines_of(list(of), _LAYERS, stretch_of(of.values())) for name, of in maps.items()}
    space = (WIDTH - _SCALE - _PROFILE, HEIGHT / len(models) - _HEADING)
    cell = min(cell_size(model_lines, *space) for model_lines in lines.values())
    sizes = {name: size_of(model_lines, cell) for name, model_lines in lines.items()}
    beside = _ABOVE + len(measures) * (_PANEL + _BETWEEN) - _BETWEEN + _BELOW
    wide, heights = max(width for width, _ in sizes.values()), [max(beside, height) for _, height in sizes.values()]
    drawn = {
        measure: {name: _Profile.of(table[table["measure"] == measure], whole) for name, table in profiles.items()}
        for measure in measures
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(wide + _SCALE + _PROFILE, sum(heights) + len(models) * _HEADING))
        top = 0.0
        for n, (name, height) in enumerate(zip(models, heights, strict=True)):
            write(figure, 0.06, top + 0.06, broken(name, 60, 1), fontweight="bold")
            top += _HEADING
            groups = {sheet: clusters[name].sel(sheet=sheet) for sheet in maps[name]}
            draw_sheets(figure, lines[name], maps[name], groups, norm, cell, 0.0, top)
            draw_scale(figure, norm, f"Welch's t, {contrast}", wide + 0.08, top, sizes[name][1])
            for number, (measure, label) in enumerate(measures.items()):
                down = top + _ABOVE + number * (_PANEL + _BETWEEN)
                axes = place(figure, wide + _SCALE + 0.5, down, _PROFILE - 0.55, _PANEL)
                axes.set_ylabel(broken(label, 15), fontsize=SMALL)
                _draw_profile(axes, drawn[measure][name], _limits(drawn[measure].values()), colour(n))
                if number:
                    axes.set_title("")
                if number < len(measures) - 1:
                    axes.tick_params(labelbottom=False)
                    axes.set_xlabel("")
            top += height
        return figure


def outlined_maps(
    t: Mapping[str, xr.DataArray],
    mask: Mapping[str, xr.DataArray],
    contrast: str,
    note: str,
    values: str = "Welch's t",
) -> Figure:
    """Return a figure of maps of t or d, with outlines of a set of units and a note above the maps.

    Args:
        t: The values on each sheet, {sheet: (y, x)}.
        mask: 1 for a unit inside the outlines, on the same sheets.
        contrast: Name of the contrast, for the colour bar.
        note: The note, for example the number of units inside the outlines.
        values: Name of the values, for the colour bar.
    """
    lines = lines_of(list(t), 2 * _LAYERS, stretch_of(t.values()))
    norm = symmetric(np.concatenate([grid.values.ravel() for grid in t.values()]))
    cell = cell_size(lines, WIDTH - _SCALE, HEIGHT - _NOTE)
    wide, height = size_of(lines, cell)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(wide + _SCALE, _NOTE + height))
        write(figure, 0.06, 0.05, note, fontsize=SMALL)
        draw_sheets(figure, lines, t, mask, norm, cell, 0.0, _NOTE)
        draw_scale(figure, norm, f"{values}, {contrast}", wide + 0.08, _NOTE, height)
        return figure


def _sheets(t: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the map on each sheet of a model. Sheets that the model does not have are left out."""
    every = {sheet: t.sel(sheet=sheet) for sheet in t["sheet"].values.tolist()}
    return {sheet: grid for sheet, grid in every.items() if grid.notnull().any()}


@dataclass(frozen=True, eq=False)
class _Profile:
    """The responses of a network and of its clusters to each condition, by one measure.

    Args:
        network: The rows of the network, indexed by the condition. It is empty for a model without clusters.
        clusters: The responses of the clusters.
    """

    network: pd.DataFrame
    clusters: Float[np.ndarray, "clusters conditions"]

    @classmethod
    def of(cls, table: pd.DataFrame, whole: str) -> _Profile:
        """Return the profile from the rows of `cortex.profiles` of one measure."""
        conditions = sorted(dict.fromkeys(table["condition"]), key=lambda c: "SWJN".find(c) % 5)  # others last
        of_network = table["cluster"] == whole
        clusters = table[~of_network].pivot(index="cluster", columns="condition", values="response")
        return cls(table[of_network].set_index("condition").loc[conditions], clusters[conditions].to_numpy())

    @property
    def shown(self) -> Float[np.ndarray, "values conditions"]:
        """What is drawn of the clusters: each one, or of many clusters the 10th, 50th and 90th percentile."""
        if len(self.clusters) <= _DOTS:
            return self.clusters
        return np.nanpercentile(self.clusters, (10, 50, 90), axis=0)

    @property
    def n_texts(self) -> str:
        """The number of texts (and of items) of the conditions, in words."""
        texts, items = (_range(self.network[column]) for column in ("n_texts", "n_items"))
        return f"{texts} texts" + (f" in {items} groups" if items != texts else "") + " of each condition"


def _range(numbers: pd.Series) -> str:
    least, most = int(numbers.min()), int(numbers.max())
    return f"{least}" if least == most else f"{least}–{most}"


def _limits(profiles: Iterable[_Profile]) -> tuple[float, float]:
    """Return the limits of the axis of profiles that are drawn with one scale. 0 is within them."""
    drawn = [np.concatenate([x.shown.ravel(), x.network[["low", "high", "response"]].to_numpy().ravel()])
             for x in profiles]  # fmt: skip
    values = np.concatenate([*drawn, [0.0]])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.08 * (high - low or 1.0)
    return low - margin if low < 0 else 0.0, high + margin


def _draw_profile(axes: Axes, profile: _Profile, limits: tuple[float, float], shade: str) -> None:
    network, shown = profile.network, profile.shown
    if network.empty:
        axes.set(xticks=[], yticks=[])
        axes.annotate("no cluster", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
        return
    at = np.arange(len(network))
    error = np.stack([network["response"] - network["low"], network["high"] - network["response"]])
    axes.bar(at - 0.12, network["response"], 0.46, color=shade, alpha=0.7, yerr=error,
             error_kw={"lw": 1.2, "ecolor": INK, "capsize": 2, "zorder": 4})  # fmt: skip
    n_clusters = len(profile.clusters)
    if n_clusters <= _DOTS:
        beside = 0.27 + 0.04 * (np.arange(n_clusters) % 3 - 1 if n_clusters > 1 else np.zeros(1))
        axes.plot(np.add.outer(beside, at), shown, ls="", marker="o", ms=2.4, mew=0, color=MUTED)
        marks = "(dot)" if n_clusters == 1 else "(dots)"
    else:
        low, median, high = shown
        axes.vlines(at + 0.27, low, high, color=MUTED, alpha=0.45, lw=4)
        axes.hlines(median, at + 0.17, at + 0.37, color=INK, lw=1)
        marks = "(median, 10–90 %)"
    if limits[0] < 0:
        axes.axhline(0, color=MUTED, lw=0.6)
    n_units = int(network["n_units"].iloc[0])
    title = f"network of {counted(n_units, 'unit')} (bars, 95 % CI),\n{counted(n_clusters, 'cluster')} {marks}"
    axes.set_title(title, fontsize=SMALL)
    names = {"S": "sentences", "W": "word\nlists", "J": "Jabber-\nwocky", "N": "non-words"}
    axes.set_xticks(at, [names.get(str(c), broken(str(c), 9)) for c in network.index], fontsize=TINY)
    axes.set_xlabel(profile.n_texts, fontsize=TINY, labelpad=2)
    axes.set_ylim(*limits)
