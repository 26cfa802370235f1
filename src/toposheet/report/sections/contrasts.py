"""Each contrast: its statistics beside their nulls, its maps, and how clustered they are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from toposheet.cortex import Comparison
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.negative_controls import RANDOM_LABELS
from toposheet.cortex.statistics import STATISTICS, topography_statistics
from toposheet.cortex.summary import SUMMARY, medians, summary_of, without_negative_controls
from toposheet.figures.clustering import clustering, clustering_bars
from toposheet.figures.maps import draw_contrast_maps, readout_name
from toposheet.figures.numbers import number, signed
from toposheet.figures.sheets import by_kind, layers_of
from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, Section
from toposheet.results import Table
from toposheet.settings import Settings

STATISTICS_OF_MODELS = STATISTICS.beside(model="text", stimuli="text")
SUMMARY_OF_MODELS = SUMMARY.beside(model="text")
_DEEP = 6  # layers: models with more get a figure each where a figure has several contrasts

PARTIAL = """
<h2>Contrasts, medians over taps</h2>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th>FWHM mm</th><th class="left">model</th><th>significant</th><th>Moran's I</th>
<th>place-null</th><th>z</th><th>p</th><th>label-null</th><th>label z</th><th>label p</th><th>cross-half I</th></tr>
{% for row in medians.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td>{{ row.fwhm_mm }}</td><td class="left">{{ row.model }}</td>
<td>{{ row.significant_fraction | percent }}</td><td><b>{{ row.morans_i | number }}</b></td>
<td>{{ row.null_mean | number }} ± {{ row.null_sd | number }}</td><td>{{ row.z | number(1) }}</td><td>{{ row.p | number(3) }}</td>
<td>{{ row.label_null_mean | number }} ± {{ row.label_null_sd | number }}</td><td>{{ row.label_z | number(1) }}</td><td>{{ row.label_p | number(3) }}</td>
<td>{{ row.cross_half_i | number }}</td></tr>
{% endfor %}
</table></div>
{{ figure("clustering-mean") }}
{% for picture in pictures if picture.name.startswith("map-") %}
<h3>{{ picture.title }}</h3>
{{ figure(picture.name) }}
{% endfor %}
<h3>Moran's I of every tap against its nulls</h3>
{{ figure("clustering") }}
"""


def _comparison_tables(comparison: Comparison, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    statistics = topography_statistics(
        comparison,
        fwhm_mm=settings.readouts,
        permutations=settings.permutations,
        seed=settings.seed,
        contiguity=settings.contiguity,
        min_size=settings.min_size,
        progress=progress,
    )
    return {STATISTICS_OF_MODELS: statistics, SUMMARY_OF_MODELS: summary_of(statistics)}


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if (summary := analysis.results.get(SUMMARY_OF_MODELS)) is None:
        return None
    return {"medians": medians(without_negative_controls(summary))}


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if analysis.results.get(SUMMARY_OF_MODELS) is None:
        return
    yield from _map_drawings(analysis)
    statistics, summary = analysis.results[STATISTICS_OF_MODELS], analysis.results[SUMMARY_OF_MODELS]
    bars = clustering_bars(statistics, _contrasts(analysis), ALL_TAPS)
    yield Drawing("clustering-mean", "Clustering of each contrast", _BARS, bars)
    first = _contrasts(analysis)[:2]
    rows_of_contrasts = [without_negative_controls(summary[summary["contrast"] == contrast]) for contrast in first]
    random = summary[(summary["contrast"] == first[0]) & (summary["negative_control"] == RANDOM_LABELS)]
    table = pd.concat([*rows_of_contrasts, random.assign(contrast=_title(first[0], RANDOM_LABELS))])
    yield Drawing("clustering", "Moran's I of every tap against its nulls", _MARKS, clustering(table))


def _contrasts(analysis: Analysis) -> list[str]:
    assert analysis.results.maps is not None, "contrasts are mapped"
    return analysis.results.maps["contrast"].values.tolist()


def _map_drawings(analysis: Analysis) -> Iterable[Drawing]:
    """Yield the maps of each contrast, and of the random labels of the first."""
    maps = analysis.results.maps
    assert maps is not None, "contrasts are mapped"
    contrasts, summary = _contrasts(analysis), analysis.results[SUMMARY_OF_MODELS]
    deep = len(layers_of(by_kind(maps["sheet"].values.tolist()))) > _DEEP
    figures = [(contrasts_together, "") for contrasts_together in _together(contrasts)]
    if RANDOM_LABELS in maps["negative_control"].values:
        figures.append(((contrasts[0],), RANDOM_LABELS))
    for contrasts_together, control in figures:
        t = maps["t"].sel(negative_control=control, drop=True)
        rows = summary[summary["negative_control"] == control]
        for models in (
            [[model] for model in analysis.names] if deep and len(contrasts_together) > 1 else [analysis.names]
        ):
            title = " and ".join(_title(name, control) for name in contrasts_together)
            name = "-".join(["map", title[:80], *(models if len(models) < len(analysis.names) else [])])
            figure = draw_contrast_maps(*_panels(contrasts_together, models, t, rows), title)
            sentence = _map_sentence(contrasts_together, models, medians(rows), control)
            yield Drawing(re.sub(r"[^\w.-]+", "-", name), title, sentence, figure)


def _title(contrast: str, control: str) -> str:
    """Return what a figure calls a contrast, or a negative control of it."""
    return f"{contrast}, {control.replace('-', ' ')}" if control else contrast


def _together(contrasts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the contrasts of each figure: one, but for nouns against verbs that are concrete and that are abstract."""
    pair = ("concrete noun:verb", "abstract noun:verb")  # as in TopoLM's figure 4
    if not set(pair) <= set(contrasts):
        return [(contrast,) for contrast in contrasts]
    return [pair if contrast == pair[0] else (contrast,) for contrast in contrasts if contrast != pair[1]]


def _panels(
    contrasts: Sequence[str], models: Sequence[str], t: xr.DataArray, summary: pd.DataFrame
) -> tuple[xr.DataArray, dict[Any, float]]:
    """Return maps with a panel for each model and contrast, and the Moran's I of each."""
    maps: list[xr.DataArray] = []
    values: dict[Any, float] = {}
    for model, contrast in itertools.product(models, contrasts):
        panel = model if len(contrasts) == 1 else f"{model}, {contrast}"
        maps.append(t.sel(model=model, contrast=contrast, drop=True))
        rows = summary[(summary["model"] == model) & (summary["contrast"] == contrast)]
        values |= rows.assign(panel=panel).groupby(["panel", "fwhm_mm", "sheet"])["morans_i"].mean().to_dict()
    panels = xr.DataArray(list(dict.fromkeys(panel for panel, _, _ in values)), dims="panel", name="panel")
    return xr.concat(maps, dim=panels), values


def _map_sentence(contrasts: Sequence[str], models: Sequence[str], middle: pd.DataFrame, control: str) -> str:
    what = (
        "no real difference: the labels were dealt out at random"
        if control
        else "red units respond more to the condition named first, blue ones to the other"
    )
    parts = []
    for contrast, model in itertools.product(contrasts, models):
        rows = middle[(middle["contrast"] == contrast) & (middle["model"] == model)].to_dict("records")
        readouts = [
            f"{readout_name(row['fwhm_mm'])} I = {number(row['morans_i'])} ({signed(row['z'])} place-null sd from "
            f"{number(row['null_mean'])}; label z = {signed(row['label_z'])}; cross-half I = "
            f"{number(row['cross_half_i'])}; {100 * row['significant_fraction']:.0f} % of units significant)"
            for row in rows
        ]
        name = model if len(contrasts) == 1 else f"{model}, {contrast}"
        parts.append(f"{name}: {', '.join(readouts)}")
    look = "See whether red and blue form patches, or salt and pepper as where units have no places."
    if control:
        look = (
            "See that a topographic model makes smooth maps even of noise: smoothness alone is no evidence "
            "of selectivity, significance and cross-half reliability are."
        )
    elif (middle["fwhm_mm"] > 0).any():
        look += " A readout smooths any map: judge its I by the distance from the null, not by its size."
    return f"Maps of t, {what}; number below a map: Moran's I. Medians over taps — {'. '.join(parts)}. {look}"


_BARS = (
    "Bars: mean over taps (dots). Grey: the same statistic with units shuffled among their cells before the "
    "readout (place-null); blue: with the labels of the stimuli shuffled (label-null). With readout even white "
    "noise has a high Moran's I: what counts is the distance from grey. A bar no higher than blue is as smooth as "
    "noise is in this model."
)
_MARKS = (
    "Each mark is one tap, its shape says which kind. Grey bars: the same statistic with units shuffled among "
    "their cells before the readout (place-null); blue bars: with the labels of the stimuli shuffled (label-null). "
    "A mark above grey means the places matter; a mark above blue means this contrast makes a smoother map than "
    "chance labels do."
)

SECTION = Section(
    place=40,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(STATISTICS_OF_MODELS, SUMMARY_OF_MODELS),
    comparison_tables=_comparison_tables,
)
