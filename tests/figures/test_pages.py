"""Every figure fits a page of a journal, and its text is legible, whatever is drawn."""

import itertools

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.cortex.summary import raw_rows
from toposheet.figures.curves import correlation_curves, loss_curves, trajectory
from toposheet.figures.groups import group_intervals
from toposheet.figures.maps import draw_contrast_maps
from toposheet.figures.morans_i import morans_i_bars, morans_i_marks
from toposheet.figures.network import network_figure, outlined_maps
from toposheet.report.groups import COMPARED, group_statistics

CONTRASTS = ("sentence:nonword", "noun:verb", "concrete noun:verb", "abstract noun:verb", "a longer name:another one")
SIZES = {
    "one model": (("small",), 4, CONTRASTS[:1]),
    "two models of 24 taps": (("topographic", "control"), 12, CONTRASTS),
    "three models of 24 taps": (("topographic", "control", "one with quite a long name"), 12, CONTRASTS),
    "two models of 64 taps": (("topographic", "control"), 32, CONTRASTS[:2]),
}


def figure_of(name, tables, maps, models, layers, contrasts):
    table = tables(models, layers, contrasts)
    t, values = maps(table[table["contrast"] == contrasts[0]])
    raw = t.sel(fwhm_mm=0.0, drop=True).rename(panel="model")
    long = table.rename(columns={"morans_i": "value"}).assign(statistic="morans_i")
    whole = long.groupby(["model", "contrast", "fwhm_mm", "statistic"], sort=False).mean(numeric_only=True)
    statistics = pd.concat([long, whole.reset_index().assign(tap="*", negative_control="")])
    if name == "maps":
        notes = {(panel, fwhm): "12,345 of 123,456 units are significant" for panel in models for fwhm in (0.0, 2.0)}
        return draw_contrast_maps(t, t > 1, notes, values, contrasts[-1], 0.05)
    if name == "marks":
        return morans_i_marks(table)
    if name == "bars":
        return morans_i_bars(statistics, contrasts, "*")
    if name == "network":
        conditions = pd.DataFrame({"condition": list("SWJN"), "response": 0.5, "low": 0.4, "high": 0.6, "n_units": 99})
        profile = pd.concat([conditions.assign(cluster=str(name)) for name in ("network", 1, 2)])
        profile = profile.assign(measure="signed", n_texts=160, n_items=40)
        clusters = (raw > 1).isel(model=0, drop=True).astype(float)
        return network_figure(
            raw,
            dict.fromkeys(models, clusters),
            dict.fromkeys(models, profile),
            contrasts[-1],
            "network",
            {"signed": "signed response"},
        )
    if name == "localizer":
        grids = {sheet: raw.sel(sheet=sheet).isel(model=0) for sheet in raw["sheet"].values}
        return outlined_maps(grids, {sheet: grid > 1 for sheet, grid in grids.items()}, contrasts[-1], "no unit")
    if name == "comparison":
        every = pd.concat([long.assign(statistic=statistic) for statistic in COMPARED])
        every = pd.concat([every, *(every.assign(negative_control=control) for control in NEGATIVE_CONTROLS)])
        table = group_statistics(every, {model: [model] for model in models})
        return group_intervals(raw_rows(table), COMPARED, [*NEGATIVE_CONTROLS])
    if name == "trajectory":
        taken = [
            table.assign(update=update, cross_half_i=0.2, significant_fraction=0.3) for update in (0, 1, 500, 20000)
        ]
        means = pd.concat(taken).groupby(["model", "update"]).mean(numeric_only=True)
        return trajectory({model: means.loc[model] for model in models}, 0.05)
    if name == "correlation":
        rows = pd.concat([table.assign(distance_mm=d, r=1 / d) for d in (1.0, 2.0, 40.0)])
        means = rows.groupby(["model", "distance_mm"]).mean(numeric_only=True)
        return correlation_curves({model: means.loc[model] for model in models})
    metrics = pd.DataFrame({"update": [1, 9000], "task_loss": [9.0, 3.0], "spatial_loss": [0.5, 0.1]})
    validated = {f"validation_{loss}": metrics[loss] for loss in ("task_loss", "spatial_loss")}
    return loss_curves({model: metrics.assign(**validated) for model in models}, 4.0)


def written(figure):
    """The texts of a figure that are seen, each with the box that it fills."""
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = {text: text.get_window_extent(renderer) for text in texts}
    hidden = set()
    for axes in figure.axes:  # ticks beyond the ends of an axis are not drawn
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not (axes.axison and low <= tick.get_loc() <= high):
                    hidden |= {tick.label1, tick.label2}
    return {text: box for text, box in boxes.items() if text not in hidden}


NAMES = ("maps", "marks", "bars", "network", "localizer", "comparison", "trajectory", "correlation", "losses")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_figures_fit_a_page_and_their_text_is_whole_legible_and_apart(tables, maps, name, size):
    figure = figure_of(name, tables, maps, *SIZES[size])
    width, height = figure.get_size_inches()
    assert width <= 7.1 + 1e-6
    assert height <= 8.85
    texts = written(figure)
    assert all(text.get_fontsize() >= 6 for text in texts)
    cut = [text.get_text() for text, box in texts.items() if not (
        box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1)]  # fmt: skip
    assert not cut
    overlapping = [
        (one.get_text(), other.get_text())
        for (one, box), (other, beside) in itertools.combinations(texts.items(), 2)
        if min(box.x1, beside.x1) - max(box.x0, beside.x0) > 1 and min(box.y1, beside.y1) - max(box.y0, beside.y0) > 1
    ]
    assert not overlapping
