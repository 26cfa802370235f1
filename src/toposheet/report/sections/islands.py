"""The section of islands: how smooth the maps are within the significant units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import of_taps, without_negative_controls
from toposheet.report.analysis import Analysis
from toposheet.report.section import Section
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.results import rows_with

PARTIAL = """
<h2>Islands</h2>
<p class="lead">This table has Moran's I of the significant units alone: all other cells are treated as holes. It is computed in taps where at least 30 units, and at least 10 % of the units, are significant.
The value is the mean over these taps.</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th>readout (mm)</th><th class="left">model</th><th>taps with a value</th><th>Moran's I</th><th>place-null</th><th>z</th><th>p</th></tr>
{% for row in islands.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td>{{ "%g" | format(row.fwhm_mm) }}</td><td class="left">{{ row.model }}</td><td>{{ row.defined }} of {{ row.taps }}</td>
<td>{{ row.value | number }}</td><td>{{ mean_and_sd(row.null_mean, row.null_sd) }}</td><td>{{ row.z | number(1) }}</td><td>{{ row.p | p }}</td></tr>
{% endfor %}
</table></div>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    statistics = analysis.results.get(STATISTICS_OF_MODELS)
    if statistics is None:
        return None
    return {"islands": _islands(without_negative_controls(statistics[statistics["statistic"] == "islands_i"]))}


def _islands(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Moran's I of the significant units alone, and the number of taps in which it is defined."""
    keys = ["contrast", "fwhm_mm", "model"]
    mean = rows_with(rows, **MEAN_OVER_TAPS).set_index(keys)
    defined = of_taps(rows).groupby(keys, sort=False)["value"]
    return mean.assign(defined=defined.count(), taps=defined.size()).reset_index()


SECTION = Section(position=70, partial=PARTIAL, view=_view)
