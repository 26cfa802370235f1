"""Negative controls: the same statistics of splits that are not of interest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.layout import ALL_TAPS
from toposheet.report.analysis import Analysis
from toposheet.report.same_splits import same_splits_as_one
from toposheet.report.section import Section
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS

PARTIAL = """
<h2>Negative controls</h2>
<p class="lead">The same texts split by something else: at random, by the frequency of their words, by their length, each within
conditions, so that the contrast itself is in none. Means over taps, raw. What a control shows too is not about the contrast. Controls that split the same texts alike,
as random labels do in two contrasts of the same texts, are one row.
{% if facts.left_out %}<b>Here {{ facts.left_out }}.</b>{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th class="left">negative control</th><th class="left">model</th><th>significant</th><th>Moran's I</th><th>place z</th><th>label p</th><th>cross-half I</th><th>its label p</th><th>clusters</th><th>largest</th></tr>
{% for row in controls.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td class="left">{{ row.negative_control or "–" }}</td><td class="left">{{ row.model }}</td>
<td>{{ row.significant_fraction | percent }}</td><td>{{ row.morans_i | number }}</td><td>{{ row.morans_i_z | number(1) }}</td><td>{{ row.morans_i_label_p | number(3) }}</td>
<td>{{ row.cross_half_i | number }}</td><td>{{ row.cross_half_i_label_p | number(3) }}</td><td>{{ row.clusters | number(1) }}</td><td>{{ row.largest_cluster | number(1) }}</td></tr>
{% endfor %}
</table></div>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    statistics = analysis.results.get(STATISTICS_OF_MODELS)
    if statistics is None or not (statistics["negative_control"] != "").any():
        return None
    raw = statistics["fwhm_mm"] == statistics["fwhm_mm"].min()
    table = _beside_their_contrasts(statistics[(statistics["tap"] == ALL_TAPS) & raw])
    return {"controls": same_splits_as_one(table, statistics)}


def _beside_their_contrasts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each contrast and each of its negative controls, the statistics beside each other."""
    keys = ["contrast", "negative_control", "model"]
    wide = rows.set_index([*keys, "statistic"])["value"].unstack("statistic", sort=False)
    for statistic, column in (("morans_i", "z"), ("morans_i", "label_p"), ("cross_half_i", "label_p")):
        wide[f"{statistic}_{column}"] = rows[rows["statistic"] == statistic].set_index(keys)[column]
    return wide.reset_index()


SECTION = Section(place=60, partial=PARTIAL, view=_view)
