"""The section of negative controls: the statistics of the same texts with labels that are not of interest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import raw_rows
from toposheet.report.analysis import Analysis
from toposheet.report.same_splits import same_splits_as_one
from toposheet.report.section import Section
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.results import rows_with

PARTIAL = """
<h2>Negative controls</h2>
<p class="lead">A negative control compares the same texts with other labels. In random-labels, the labels are shuffled. In word-frequency, texts with frequent words are compared with
texts with rare words; in length, long texts with short texts. These two negative controls divide the texts of each condition separately, and subtract the mean of each condition, so they do not contain the effect of the
contrast. Rows with “–” are the contrasts themselves. Values are means over taps of the raw maps. If a negative control has a result as large as the contrast, the result is not specific to the contrast.
Some negative controls of different contrasts divide the same texts in the same way; they have equal values and share one row.{% if facts.negative_controls_left_out %} <b>Note: {{ facts.negative_controls_left_out }}.</b>{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th class="left">negative control</th><th class="left">model</th><th>significant units</th><th>organisation</th><th>p (ordered)</th><th>Moran's I</th><th>p (label)</th><th>cross-half I</th><th>clusters</th><th>units of the largest one</th></tr>
{% for row in negative_controls.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td class="left">{{ row.negative_control or "–" }}</td><td class="left">{{ row.model }}</td>
<td>{{ row.significant_fraction | percent }}</td><td>{{ row.organisation | number }}</td><td>{{ row.ordered_p | p }}</td><td>{{ row.morans_i | number }}</td><td>{{ row.morans_i_label_p | p }}</td>
<td>{{ row.cross_half_i | number }}</td><td>{{ row.clusters | number(1) }}</td><td>{{ row.largest_cluster | number(1) }}</td></tr>
{% endfor %}
</table></div>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    statistics = analysis.results.get(STATISTICS_OF_MODELS)
    if statistics is None or not (statistics["negative_control"] != "").any():
        return None
    over_taps = [
        raw_rows(rows_with(analysis.results[table], **MEAN_OVER_TAPS))
        for table in (STATISTICS_OF_MODELS, ORGANISATION_OF_MODELS)
    ]
    table = _beside_their_contrasts(*over_taps)
    return {"negative_controls": same_splits_as_one(table, statistics)}


def _beside_their_contrasts(rows: pd.DataFrame, ordered: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each contrast and each negative control, with a column for each statistic.

    Args:
        rows: The statistics of raw maps, as means over taps.
        ordered: The organisation of the same maps.
    """
    keys = ["contrast", "negative_control", "model"]
    wide = rows.set_index([*keys, "statistic"])["value"].unstack("statistic", sort=False)
    wide["morans_i_label_p"] = rows_with(rows, statistic="morans_i").set_index(keys)["label_p"]
    organisation = ordered.set_index(keys)[["value", "p"]].set_axis(["organisation", "ordered_p"], axis=1)
    return wide.join(organisation).reset_index()


SECTION = Section(position=60, partial=PARTIAL, view=_view)
