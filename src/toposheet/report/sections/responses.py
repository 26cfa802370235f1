"""The section of statistics that need no contrast: dimensions, smoothness, wiring, correlation by distance, sinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.response_statistics import CURVES, RESPONSES, curve_of, spatial_correlations, statistics_of
from toposheet.figures.curves import correlation_curves
from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, MeasuredStudy, Section
from toposheet.report.sinks import SINKS_OF_MODELS, sink_notes, sink_rows, sinks_of_studies
from toposheet.results import Table, rows_with
from toposheet.settings import Settings
from toposheet.subject.sinks import RATIO

RESPONSES_OF_MODELS = RESPONSES.beside(model="text", stimuli="text")
CURVES_OF_MODELS = CURVES.beside(model="text", stimuli="text")

PARTIAL = """
<h2>Statistics that need no contrast</h2>
<p class="lead">These statistics describe the responses to all texts of a stimulus set. Values are means over taps.
<code>participation_ratio</code> is the number of dimensions that the responses of a tap fill. If it is small, every map is a mixture of a few patterns, and nulls are wide.
<code>bimodality</code> is the bimodality coefficient of the correlations between all pairs of units: 0.33 for a normal distribution, 0.56 for a uniform one, 1 for two values. Neither depends on places: compare with a control model.
<code>smoothness_mm</code> is the width (FWHM) of the Gaussian that gives noise the observed correlation of adjacent units. <code>wiring_mm</code> is the mean distance between units that respond alike. A small
value of <code>wiring_mm</code> is topographic, so its p is the probability of a value at least as small.</p>
<div class="scroll"><table>
<tr><th class="left">stimuli</th><th class="left">statistic</th><th class="left">model</th><th>value</th><th>place-null</th><th>z</th><th>p</th></tr>
{% for row in responses.itertuples() %}
<tr{% if loop.changed(row.stimuli, row.statistic) %} class="new"{% endif %}><td class="left">{{ row.stimuli }}</td><td class="left">{{ row.statistic }}</td><td class="left">{{ row.model }}</td><td>{{ row.value | number }}</td>
<td>{{ mean_and_sd(row.null_mean, row.null_sd) }}</td><td>{{ row.z | number(1) }}</td><td>{{ row.p | p }}</td></tr>
{% endfor %}
</table></div>
{{ figure("correlation") }}
{% if sinks %}
<h2>Attention sinks and the number of tokens</h2>
<p class="lead">A unit is an attention sink if its mean |activation| at one token of the texts is more than {{ sink_ratio }} times the median of the other tokens, of this unit and of the median unit of its tap. The mean over the tokens of a text is then this one activation divided by the number of tokens. A unit
follows 1 / number of tokens if its responses correlate with it (r² > 0.5).{% for note in sink_notes %} {{ note }}.{% else %} No unit is a sink, and few units follow 1 / number of tokens.{% endfor %}</p>
<div class="scroll"><table>
<tr><th class="left">model</th><th class="left">stimuli</th><th>sinks</th><th>follow 1 / tokens</th><th class="left">unit that is most like a sink</th><th>token</th><th>at this token</th><th>elsewhere</th></tr>
{% for row in sinks %}
<tr{% if loop.changed(row.model) %} class="new"{% endif %}><td class="left">{{ row.model }}</td><td class="left">{{ row.stimuli }}</td><td>{{ (row.n_sinks / row.n_units) | percent }}</td><td>{% if row.undefined %}– ({{ row.undefined }}){% else %}{{ row.follow_length | percent }}{% endif %}</td>
<td class="left">{{ row.tap }}, row {{ row.y }}, column {{ row.x }}</td><td>{{ row.position + 1 }}</td><td>{{ row.at_position | number }}</td><td>{{ row.elsewhere | number }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
"""


def _study_tables(measured: MeasuredStudy, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    responses, draws = measured.responses, {"permutations": settings.draws, "seed": settings.seed}
    correlations = spatial_correlations(responses, progress=progress, **draws)
    return {
        RESPONSES_OF_MODELS: statistics_of(responses, correlations),
        CURVES_OF_MODELS: curve_of(responses, correlations),
    }


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if (table := analysis.results.get(RESPONSES_OF_MODELS)) is None:
        return None
    means, sinks = rows_with(table, **MEAN_OVER_TAPS), analysis.results[SINKS_OF_MODELS]
    return {
        "responses": means.sort_values(["stimuli", "statistic"], kind="stable"),
        "sinks": sinks_of_studies(sinks),
        "sink_ratio": f"{RATIO:g}",
        "sink_notes": sink_notes(sinks),
    }


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if (curves := analysis.results.get(CURVES_OF_MODELS)) is None:
        return
    means_of_first = rows_with(curves, stimuli=curves["stimuli"].iloc[0], **MEAN_OVER_TAPS)
    means = {str(name): rows.set_index("distance_mm") for name, rows in means_of_first.groupby("model", sort=False)}
    yield Drawing("correlation", "Correlation by distance", _SENTENCE, correlation_curves(means))


_SENTENCE = (
    "The figure shows the mean correlation between the responses of two units, against the distance between the units "
    "on the sheet. Values are means over taps, and use all texts of the first stimulus set. In a topographic model the correlation is high "
    "at short distances and falls with distance. If the places of units mean nothing, the curve is flat and lies in "
    "the band of its place-null."
)

SECTION = Section(
    position=80,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(RESPONSES_OF_MODELS, CURVES_OF_MODELS, SINKS_OF_MODELS),
    study_tables=_study_tables,
    subject_tables=sink_rows,
)
