"""The section of stimuli: their number, an example of each condition, and the differences between conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import MeasuredStudy, Section
from toposheet.results import Table
from toposheet.settings import Settings
from toposheet.stimuli.measures import MATCHING, group_means, groups_as_columns
from toposheet.stimuli.studies import Battery

TEXTS = Table(
    "texts.csv", {"stimuli": "text", "condition": "text", "text": "text"}, "a text of the stimuli", others="text"
)
MATCHING_OF_MODELS = MATCHING.beside(model="text", stimuli="text", contrast="text")

PARTIAL = """
<h2>Stimuli</h2>
<p class="lead">The table has the conditions of each stimulus set, the number of texts, and the first text as an example.</p>
<div class="scroll"><table>
<tr><th class="left">set</th><th class="left">condition</th><th>texts</th><th class="left">example</th></tr>
{% for set, condition, n, text in examples %}
<tr{% if loop.changed(set) %} class="new"{% endif %}><td class="left">{{ set }}</td><td class="left">{{ condition }}</td><td>{{ n }}</td><td class="wrap">{{ text }}</td></tr>
{% endfor %}
</table></div>
{% for note in facts.texts_left_out.values() %}<p class="note">Note: {{ note }}.</p>
{% endfor %}
{% if facts.stimuli_left_out %}<p class="note">Note: {{ facts.stimuli_left_out }}.</p>{% endif %}
<h3>How well conditions are matched</h3>
<p class="lead">The tables show mean ± standard deviation over the texts of each condition. A small p means that the conditions differ in this measure (analysis of variance for unequal variances, Alexander and
Govern 1994; Kruskal–Wallis if a condition does not vary). Tokens are counted with the tokenizer of {{ models[0] }}.</p>
{% for compared, table in matching %}
<div class="scroll"><table>
<tr><th class="left">{{ compared }}</th>{% for column in table.columns[1:] %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in table.itertuples(index=False) %}
<tr><td class="left">{{ row[0] }}</td>{% for value in row[1:] %}<td>{{ value | p if value is float else value }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% for note in facts.notes.get(compared, ()) %}<p class="note">Note: {{ note }}.</p>{% endfor %}
{% endfor %}
"""


def _battery_tables(battery: Battery) -> Mapping[Table, pd.DataFrame]:
    texts = [study.stimuli.assign(stimuli=study.name) for study in battery.studies]
    return {TEXTS: pd.concat(texts, ignore_index=True)}


def _study_tables(measured: MeasuredStudy, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    tables = [
        group_means(texts, measured.subject.count_tokens).assign(contrast=contrast)
        for contrast, texts in _texts_of_contrasts(measured)
    ]
    return {MATCHING_OF_MODELS: pd.concat(tables, ignore_index=True)}


def _texts_of_contrasts(measured: MeasuredStudy) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the texts of each contrast. A study without contrasts yields all its texts with an empty name."""
    study = measured.study
    if not study.contrasts:
        yield "", study.stimuli
    for name, contrast in zip(measured.names, study.contrasts, strict=True):
        yield name, contrast.compared(study.stimuli)


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    texts, matching = analysis.results.get(TEXTS), analysis.results.get(MATCHING_OF_MODELS)
    if texts is None or matching is None:
        return None
    groups = texts.groupby(["stimuli", "condition"], sort=False)
    examples = [(*key, len(rows), rows["text"].iloc[0]) for key, rows in groups]  # pyright: ignore[reportGeneralTypeIssues]
    return {"examples": examples, "matching": _tables_by_contrast(matching)}


def _tables_by_contrast(matching: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return for each contrast the measures of its conditions. Tokens are counted with the first model."""
    first = matching[matching["model"] == matching["model"].iloc[0]]
    groups = first.groupby(["stimuli", "contrast"], sort=False)
    return [(contrast or stimuli, groups_as_columns(rows)) for (stimuli, contrast), rows in groups]  # pyright: ignore[reportGeneralTypeIssues]


SECTION = Section(
    position=110,
    partial=PARTIAL,
    view=_view,
    tables=(TEXTS, MATCHING_OF_MODELS),
    study_tables=_study_tables,
    battery_tables=_battery_tables,
)
