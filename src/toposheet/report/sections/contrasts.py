"""The section of contrasts: for each contrast its statistics with their nulls, its maps, and Moran's I of each tap."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import xarray as xr

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS, MEAN_OVER_TAPS
from toposheet.cortex.negative_controls import RANDOM_LABELS
from toposheet.cortex.organisation import ORGANISATION
from toposheet.cortex.statistics import STATISTICS, topography_statistics
from toposheet.cortex.summary import (
    SUMMARY,
    medians,
    n_significant,
    of_sheets,
    of_taps,
    raw_rows,
    summary_of,
    without_negative_controls,
)
from toposheet.cortex.verdicts import EXPLAINED, MapVerdict, map_verdict, needed_draws, not_tested
from toposheet.figures.maps import draw_contrast_maps
from toposheet.figures.morans_i import morans_i_bars, morans_i_marks
from toposheet.figures.sheets import by_kind, layers_of
from toposheet.progress import Progress, part_of
from toposheet.report.analysis import Analysis
from toposheet.report.draws import draws_of, fewer_draws_in_words
from toposheet.report.section import Drawing, MeasuredComparison, Section, SectionTables
from toposheet.results import Table, rows_with
from toposheet.settings import Settings
from toposheet.stats import holm
from toposheet.wording import count_of_units, number, readout_name

STATISTICS_OF_MODELS = STATISTICS.beside(model="text", stimuli="text")
SUMMARY_OF_MODELS = SUMMARY.beside(model="text")
ORGANISATION_OF_MODELS = replace(
    ORGANISATION,
    columns={
        "model": "text", "stimuli": "text", "contrast": "text", "negative_control": "text",
        **ORGANISATION.columns, "p_holm": "number", "p_all": "number",
    },
)  # fmt: skip
_DEEP = 6  # layers. If models have more layers, a figure of several contrasts shows one model only

PARTIAL = """
<h2>Contrasts, medians over taps</h2>
<p class="lead">A claim about a map needs two results: significant units, and an effect that is spatially ordered. <i>Organisation</i> tests the second: do neighbouring units have similar effects, more than the same
effects at random places, with the noise of these texts in its place? A readout raises its value in every model with reliable units, ordered or not, so only its p counts. It is a mean over taps, as are cross-half I and the ceiling; all other values are medians over taps. <i>p (smoother)</i> tests another claim: the map is smoother
than differences between such texts by chance. An effect can be ordered and no smoother than the noise. Cross-half I describes how well the map of one half of the texts agrees with the map of the other half, at neighbouring units: the mean over {{ facts.splits }} random halves, and their range, which is no confidence interval because the halves share texts. Its null is the mean of the same value without effect. <i>Ceiling</i> is the highest correlation that these texts let the map have with another map (the root of its reliability over halves).
Moran's I says how smooth a map is. Its place-null shuffles the places of the units; its label-null makes maps without effect, mostly by shuffling the labels of the texts (see Methods). In a topographic model, maps of noise are smooth as well, so a Moran's I above its place-null is no evidence of an ordered effect.
<i>p (readouts)</i> is p (ordered), corrected for the number of readouts of a contrast (maxT: the largest value of each draw). <i>p (Holm)</i> is p (ordered) of the raw map, corrected for the {{ n_contrasts | counted("contrast") }} of this table, in each model separately{% if needed_draws %} (<b>{{ needed_draws }}</b>){% endif %}. No other p of this table is corrected for the number of contrasts, and the verdicts below use p (ordered).
<i>organisation.csv</i> has the p of each tap and readout. Its column p_familywise is corrected for the number of taps and readouts of a contrast, and p_all also for the number of contrasts (p_familywise times this number, at most 1). The smallest possible p is {{ "%.2g" | format(1 / (1 + facts.permutations)) }}, with {{ facts.permutations }} draws{% if fewer_draws %}; {{ fewer_draws }}{% endif %}. The tests speak of other texts, not of other models.{% if few %} <b>In this report the nulls are {{ few }}.</b>{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th>readout (mm)</th><th class="left">model</th><th>significant units</th><th>organisation</th><th>p (ordered)</th><th>p (readouts)</th><th>p (Holm)</th><th>p (smoother)</th><th>cross-half I</th><th>range</th><th>null</th><th>ceiling</th><th>Moran's I</th>
<th>place-null</th><th>p (place)</th><th>label-null</th><th>p (label)</th></tr>
{% for row in medians.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td>{{ "%g" | format(row.fwhm_mm) }}</td><td class="left">{{ row.model }}</td>
<td>{{ row.significant_fraction | percent }}</td><td>{{ row.organisation | number }}</td><td>{{ row.ordered_p | p }}</td><td>{{ row.readouts_p | p }}</td><td>{{ row.holm_p | p }}</td><td>{{ row.smoother_p | p }}</td>
<td>{{ row.cross_half_i | number }}</td><td>{{ row.cross_half_low | number }} to {{ row.cross_half_high | number }}</td><td>{{ row.cross_half_null | number }}</td><td>{{ row.ceiling | number }}</td><td>{{ row.morans_i | number }}</td>
<td>{{ mean_and_sd(row.null_mean, row.null_sd) }}</td><td>{{ row.p | p }}</td>
<td>{{ mean_and_sd(row.label_null_mean, row.label_null_sd) }}</td><td>{{ row.label_p | p }}</td></tr>
{% endfor %}
</table></div>
{% if whole_sheets %}
<h3>Whole sheets</h3>
<p class="lead">These sheets hold several taps. A map of a whole sheet has the units of all its taps, and its places are shuffled within taps. Moran's I is computed from t that is standardised in each tap, so a border between taps does not count.
The organisation of a sheet is computed from differences of responses, so taps with large responses decide its value.</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th>readout (mm)</th><th class="left">model</th><th class="left">sheet</th><th>units</th><th>significant units</th><th>organisation</th><th>p (ordered)</th><th>p (smoother)</th><th>Moran's I</th><th>place-null</th><th>p (place)</th><th>label-null</th><th>p (label)</th></tr>
{% for row in whole_sheets %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td>{{ "%g" | format(row.fwhm_mm) }}</td><td class="left">{{ row.model }}</td><td class="left">{{ row.sheet }}</td><td>{{ "{:,}".format(row.n_units) }}</td>
<td>{{ row.significant_fraction | percent }}</td><td>{{ row.organisation | number }}</td><td>{{ row.ordered_p | p }}</td><td>{{ row.smoother_p | p }}</td><td>{{ row.morans_i | number }}</td><td>{{ mean_and_sd(row.null_mean, row.null_sd) }}</td><td>{{ row.p | p }}</td>
<td>{{ mean_and_sd(row.label_null_mean, row.label_null_sd) }}</td><td>{{ row.label_p | p }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{{ figure("morans-i-mean") }}
<h3>Maps</h3>
<p class="lead">A map shows Welch's t of each unit. Red units respond more to the condition that is named first; blue units respond more to the other condition. Outlines enclose the significant
units; on small maps, these units alone have full colour. The number of significant units is above the maps, and Moran's I of each map is below it. A map without a significant unit is pale.
A readout smooths every map, also a map of noise. The table below a figure gives the result of the tests, the median of Moran's I over taps, and the medians of the means of its two nulls. In this table, {{ explained }}.</p>
{% for picture in pictures if picture.name.startswith("map-") %}
<h4>{{ picture.title }}</h4>
{{ figure(picture) }}
{% endfor %}
<h3>Moran's I of every tap against its nulls</h3>
{{ figure("morans-i") }}
"""


def _comparison_tables(
    measured: MeasuredComparison, settings: Settings, progress: Progress
) -> Mapping[Table, pd.DataFrame]:
    comparison = measured.comparison
    statistics = topography_statistics(
        comparison,
        fwhm_mm=settings.readouts,
        permutations=settings.draws,
        seed=settings.seed,
        contiguity=settings.contiguity,
        min_size=settings.min_size,
        weights=settings.weights,
        progress=part_of(progress, 0, 2),
    )
    ordered = measured.organised(part_of(progress, 1, 2))
    names = {"contrast": comparison.name, "negative_control": comparison.negative_control}
    return {
        STATISTICS_OF_MODELS: statistics,
        SUMMARY_OF_MODELS: summary_of(statistics),
        ORGANISATION_OF_MODELS: ordered.assign(**names),
    }


def _completed_tables(tables: SectionTables) -> SectionTables:
    """Return the table of organisation with two p values that are corrected for the number of contrasts of a model.

    The contrasts of a model are one family, without their negative controls, whose rows have none of the two.
    `p_holm` is p of the raw map, mean over taps, by Holm's method; other rows have no `p_holm`. `p_all` is
    `p_familywise` times the number of contrasts (Bonferroni), so it is corrected for all tests of the model: in the
    rows of a tap for taps, readouts and contrasts, in the rows of the mean over taps for readouts and contrasts.
    """
    if (ordered := tables.get(ORGANISATION_OF_MODELS)) is None:
        return {}
    corrected = ordered.copy()
    raw = raw_rows(rows_with(ordered, **MEAN_OVER_TAPS, negative_control=""))
    for _, family in raw.groupby("model"):
        corrected.loc[family.index, "p_holm"] = holm(family["p"].to_numpy())
    real = rows_with(ordered, negative_control="")
    n_contrasts = real.groupby("model")["contrast"].transform("nunique")
    corrected.loc[real.index, "p_all"] = (real["p_familywise"] * n_contrasts).clip(upper=1.0)
    return {ORGANISATION_OF_MODELS: corrected}


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if (summary := analysis.results.get(SUMMARY_OF_MODELS)) is None:
        return None
    rows = medians(without_negative_controls(summary)).to_dict("records")
    table = pd.DataFrame([row | _means_over_taps(analysis, row) for row in rows])
    return {
        "medians": table,
        "whole_sheets": _whole_sheets(analysis),
        "few": not_tested(analysis.facts["permutations"]),
        "fewer_draws": fewer_draws_in_words(analysis.facts),
        "n_contrasts": len(_contrasts(analysis)),
        "needed_draws": needed_draws(len(_contrasts(analysis)), analysis.facts["permutations"]),
        "explained": EXPLAINED,
    }


_MAP_KEYS = ("contrast", "negative_control", "fwhm_mm", "model")  # the columns that name a map


def _whole_sheets(analysis: Analysis) -> list[dict[Any, Any]]:
    """Return the statistics of each sheet with several taps, a row for each contrast, readout and model."""
    keys = ["contrast", "negative_control", "fwhm_mm", "model", "sheet"]
    summary, ordered = (
        of_sheets(without_negative_controls(analysis.results[table]))
        for table in (SUMMARY_OF_MODELS, ORGANISATION_OF_MODELS)
    )
    tests = ordered.rename(columns={"value": "organisation", "p": "ordered_p"})
    return summary.merge(tests[[*keys, "organisation", "ordered_p", "smoother_p"]], on=keys).to_dict("records")


def _means_over_taps(analysis: Analysis, row: Mapping[Any, Any]) -> dict[str, float]:
    """Return the statistics of a map that are means over taps.

    Args:
        analysis: The analysis.
        row: Names the map by its values `contrast, negative_control, fwhm_mm` and `model`.
    """
    keys = {key: row[key] for key in _MAP_KEYS} | MEAN_OVER_TAPS
    (ordered,) = rows_with(analysis.results[ORGANISATION_OF_MODELS], **keys).to_dict("records")
    means = {
        "organisation": ordered["value"],
        "ordered_p": ordered["p"],
        "readouts_p": ordered["p_familywise"],
        "holm_p": ordered["p_holm"],
        "smoother_p": ordered["smoother_p"],
    }
    statistics = rows_with(analysis.results[STATISTICS_OF_MODELS], **keys).set_index("statistic")
    halves = statistics.loc["cross_half_i"]
    return means | {
        "cross_half_i": halves["value"],
        "cross_half_low": halves["low"],
        "cross_half_high": halves["high"],
        "cross_half_null": halves["label_null_mean"],
        "ceiling": statistics.loc["ceiling", "value"],
    }


def _verdict(analysis: Analysis, row: Mapping[Any, Any]) -> MapVerdict:
    """Return the verdict on a map.

    Args:
        analysis: The analysis.
        row: Names the map by its values `contrast, negative_control, fwhm_mm` and `model`.
    """
    keys = {key: row[key] for key in _MAP_KEYS}
    statistics = rows_with(analysis.results[STATISTICS_OF_MODELS], **keys)
    ordered = rows_with(analysis.results[ORGANISATION_OF_MODELS], **keys)
    return map_verdict(statistics, ordered, draws_of(analysis.facts, row["contrast"]))


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if analysis.results.get(SUMMARY_OF_MODELS) is None:
        return
    yield from _map_drawings(analysis)
    statistics, summary = analysis.results[STATISTICS_OF_MODELS], analysis.results[SUMMARY_OF_MODELS]
    bars = morans_i_bars(statistics.drop(of_sheets(statistics).index), _contrasts(analysis), ALL_TAPS)
    yield Drawing("morans-i-mean", "Moran's I of each contrast", _BARS, bars)
    first = _contrasts(analysis)[:2]
    rows_of_contrasts = [without_negative_controls(summary[summary["contrast"] == contrast]) for contrast in first]
    random = summary[(summary["contrast"] == first[0]) & (summary["negative_control"] == RANDOM_LABELS)]
    table = pd.concat([*rows_of_contrasts, random.assign(contrast=_title(first[0], RANDOM_LABELS))])
    yield Drawing("morans-i", "Moran's I of every tap against its nulls", _MARKS, morans_i_marks(of_taps(table)))


def _contrasts(analysis: Analysis) -> list[str]:
    assert analysis.results.maps is not None, "contrasts are mapped"
    return analysis.results.maps["contrast"].values.tolist()


def _map_drawings(analysis: Analysis) -> Iterable[Drawing]:
    """Yield the figures of the maps of each contrast, and of the random labels of the first contrast."""
    maps = analysis.results.maps
    assert maps is not None, "contrasts are mapped"
    contrasts, summary = _contrasts(analysis), analysis.results[SUMMARY_OF_MODELS]
    deep = len(layers_of(by_kind(maps["sheet"].values.tolist()))) > _DEEP
    figures = [(contrasts_together, "") for contrasts_together in _together(contrasts)]
    if RANDOM_LABELS in maps["negative_control"].values:
        figures.append(((contrasts[0],), RANDOM_LABELS))
    for contrasts_together, negative_control in figures:
        shown_maps = maps.sel(negative_control=negative_control, drop=True)
        rows = summary[summary["negative_control"] == negative_control]
        for models in (
            [[model] for model in analysis.names] if deep and len(contrasts_together) > 1 else [analysis.names]
        ):
            title = " and ".join(_title(name, negative_control) for name in contrasts_together)
            name = "-".join(["map", title, *(models if len(models) < len(analysis.names) else [])])
            figure = draw_contrast_maps(*_panels(contrasts_together, models, shown_maps, rows), title, SIGNIFICANT)
            sentence = f"{_RANDOM if negative_control else ''}{_MEDIANS}"
            yield Drawing(
                name, title, sentence, figure, table=_map_table(analysis, contrasts_together, models, medians(rows))
            )


def _title(contrast: str, negative_control: str) -> str:
    """Return the name of a contrast, or of its negative control, in a figure."""
    return f"{contrast}, {negative_control.replace('-', ' ')}" if negative_control else contrast


def _together(contrasts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the contrasts of each figure.

    A figure has one contrast. The only exception: concrete and abstract nouns against verbs share a figure.
    """
    pair = ("concrete noun:verb", "abstract noun:verb")  # as in TopoLM's figure 4
    if not set(pair) <= set(contrasts):
        return [(contrast,) for contrast in contrasts]
    return [pair if contrast == pair[0] else (contrast,) for contrast in contrasts if contrast != pair[1]]


def _panels(
    contrasts: Sequence[str], models: Sequence[str], maps: xr.Dataset, summary: pd.DataFrame
) -> tuple[xr.DataArray, xr.DataArray, dict[Any, str], dict[Any, float]]:
    """Return the arguments of `draw_contrast_maps`, with a panel for each model and contrast.

    These are the maps of t, masks of the significant units, notes with the number of significant units, and Moran's I
    of each sheet.
    """
    parts: list[xr.Dataset] = []
    panels: list[str] = []
    notes: dict[Any, str] = {}
    values: dict[Any, float] = {}
    for model, contrast in itertools.product(models, contrasts):
        panel = _panel(model, contrast, contrasts)
        panels.append(panel)
        parts.append(maps[["t", "q"]].sel(model=model, contrast=contrast, drop=True))
        rows = summary[(summary["model"] == model) & (summary["contrast"] == contrast)].assign(panel=panel)
        for of_maps in (of_taps(rows), of_sheets(rows)):  # a whole sheet replaces its taps
            values |= of_maps.set_index(["panel", "fwhm_mm", "sheet"])["morans_i"].to_dict()
        for fwhm, taps in of_taps(rows).groupby("fwhm_mm"):
            n = n_significant(taps["significant_fraction"], taps["n_units"])
            notes[panel, fwhm] = count_of_units(n, int(taps["n_units"].sum()))
    contrasts_together = xr.concat(parts, dim=xr.DataArray(panels, dims="panel", name="panel"))
    return contrasts_together["t"], contrasts_together["q"] < SIGNIFICANT, notes, values


def _panel(model: str, contrast: str, contrasts: Sequence[str]) -> str:
    """Return the name of a panel: the model, and also the contrast if the figure has several contrasts."""
    return model if len(contrasts) == 1 else f"{model}, {contrast}"


def _map_table(
    analysis: Analysis, contrasts: Sequence[str], models: Sequence[str], tap_medians: pd.DataFrame
) -> pd.DataFrame:
    """Return the table below the maps: a row for each panel and readout."""
    table = []
    for contrast, model in itertools.product(contrasts, models):
        rows = tap_medians[(tap_medians["contrast"] == contrast) & (tap_medians["model"] == model)].to_dict("records")
        table += [
            {
                "maps": _panel(model, contrast, contrasts),
                "readout": readout_name(row["fwhm_mm"], ""),
                "Moran's I": number(row["morans_i"]),
                "with shuffled places": number(row["null_mean"]),
                "without effect": number(row["label_null_mean"]),
                "result of the tests": str(_verdict(analysis, row)),
            }
            for row in rows
        ]
    return pd.DataFrame(table)


_RANDOM = "The labels of these texts are random, so every pattern in these maps is noise. "
_MEDIANS = "In the table, the values of Moran's I and of its nulls are medians over taps."
_BARS = (
    "A bar is Moran's I, mean over taps. Each dot is one tap. Grey lines are the place-null (mean ± 2 sd): the units of "
    "a tap are shuffled among their cells before the readout. Blue lines are the label-null (mean ± 2 sd): maps of these "
    "texts without effect. With a readout, even white noise has a high Moran's I. If a bar ends within the blue "
    "line, it is not shown that the map is smoother than without effect. Such a bar is no evidence of the contrast."
)
_MARKS = (
    "Each mark is Moran's I of one tap. The shape of the mark shows the kind of the tap. Grey lines are the place-null "
    "of the tap, and blue lines its label-null (mean ± 2 sd). A map whose mark is above the grey line is smoother than "
    "with shuffled places. A map whose mark is above the blue line is smoother than without effect."
)

SECTION = Section(
    position=40,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(STATISTICS_OF_MODELS, SUMMARY_OF_MODELS, ORGANISATION_OF_MODELS),
    comparison_tables=_comparison_tables,
    completed_tables=_completed_tables,
)
