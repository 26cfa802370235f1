"""The section of taps: all rows of the summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposheet.report.analysis import Analysis
from toposheet.report.section import Section
from toposheet.report.sections.contrasts import SUMMARY_OF_MODELS

PARTIAL = """
<h2>Every tap</h2>
<details><summary>Show all rows of summary.csv (the file statistics.csv has more statistics)</summary>
<div class="scroll"><table>
<tr>{% for column in summary.columns %}<th class="left">{{ column }}</th>{% endfor %}</tr>
{% for row in summary.itertuples(index=False) %}
<tr>{% for value in row %}<td{% if value is string %} class="left"{% endif %}>{{ value | number(3) if value is float else value }}</td>{% endfor %}</tr>
{% endfor %}
</table></div></details>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    summary = analysis.results.get(SUMMARY_OF_MODELS)
    return None if summary is None else {"summary": summary}


SECTION = Section(position=100, partial=PARTIAL, view=_view)
