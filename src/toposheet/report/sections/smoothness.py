"""The section of smoothness: how smooth the noise of each condition of a contrast is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.smoothness import SMOOTHNESS, noise_smoothness
from toposheet.cortex.summary import raw_rows
from toposheet.figures.curves import noise_curves
from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, MeasuredComparison, Section, SectionTables
from toposheet.results import Table, rows_with
from toposheet.settings import Settings

SMOOTHNESS_OF_MODELS = SMOOTHNESS.beside(model="text", stimuli="text")

PARTIAL = """
<h2>Smoothness of the noise</h2>
<p class="lead">The noise of a condition is the deviation of its texts from their mean. The table has its smoothness on the sheet: the correlation r of two adjacent units (mean over taps), the width
(FWHM) of the Gaussian that gives white noise this r, and the width from the distance at which r falls to 0.5. If the two conditions of a contrast are not equally smooth, their labels are not exchangeable,
and maps with shuffled labels are not a fair null. With different numbers of texts, the nulls of this report do not shuffle labels: they keep the noise of each condition (random signs). With equal
numbers, the mean of both noises is the same with shuffled labels.</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th>readout (mm)</th><th class="left">model</th><th class="left">condition</th><th>r of neighbours</th><th>FWHM from neighbours (mm)</th><th>FWHM from r = 0.5 (mm)</th></tr>
{% for row in smoothness.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td>{{ "%g" | format(row.fwhm_mm) }}</td><td class="left">{{ row.model }}</td><td class="left">{{ row.condition }}</td>
<td>{{ row.autocorrelation | number }}</td><td>{{ row.neighbour_fwhm_mm | number }}</td><td>{{ row.half_width_fwhm_mm | number }}</td></tr>
{% endfor %}
</table></div>
{{ figure("smoothness") }}
"""


def _comparison_tables(measured: MeasuredComparison, settings: Settings, progress: Progress) -> SectionTables:
    progress("smoothness", 0, 1)
    tables: Mapping[Table, pd.DataFrame] = {}
    if not measured.comparison.negative_control:
        tables = {SMOOTHNESS_OF_MODELS: noise_smoothness(measured.comparison, fwhm_mm=settings.readouts)}
    progress("smoothness", 1, 1)
    return tables


def _means(analysis: Analysis) -> pd.DataFrame | None:
    """Return the rows of the mean over taps. None: there are none."""
    table = analysis.results.get(SMOOTHNESS_OF_MODELS)
    means = None if table is None else rows_with(table, **MEAN_OVER_TAPS)
    return None if means is None or means.empty else means


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if (means := _means(analysis)) is None:
        return None
    keys = ["contrast", "fwhm_mm", "model", "condition"]
    order = {name: number for number, name in enumerate(means["contrast"].unique())}
    first = means.groupby(keys, sort=False).head(1)
    return {"smoothness": first.sort_values("contrast", key=lambda names: names.map(order), kind="stable")}


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if (means := _means(analysis)) is None:
        return
    yield Drawing("smoothness", "Autocorrelation of the noise", _SENTENCE, noise_curves(raw_rows(means)))


_SENTENCE = (
    "The figure shows the correlation between the noise of two units of one row or column, against the distance "
    "between the units (raw, mean over taps). Solid line: the first condition of the contrast. Dashed line: the second "
    "condition. If the two lines of a model differ, shuffled labels mix noise of different smoothness."
)

SECTION = Section(
    position=45,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(SMOOTHNESS_OF_MODELS,),
    comparison_tables=_comparison_tables,
)
