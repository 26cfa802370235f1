"""The section of checks: claims about a run, each with its bound and the measured value."""

from __future__ import annotations

from toposheet.report.section import Section

PARTIAL = """
<h2>What this run should show</h2>
<p class="lead">Each row is a claim about this run. The claim holds if the measured value is within the bound.</p>
<div class="scroll"><table>
<tr><th class="left">claim</th><th>measured value</th><th>bound</th><th>result</th></tr>
{% for check in checks %}
<tr><td class="left">{{ check.claim }}</td><td>{{ check.value | number(3) }}</td><td>{{ check.bound }}</td>
<td class="{{ 'yes' if check.holds else 'no' }}">{{ "holds" if check.holds else "does not hold" }}</td></tr>
{% endfor %}
</table></div>
"""

SECTION = Section(
    position=20, partial=PARTIAL, view=lambda analysis: {"checks": analysis.checks} if analysis.checks else None
)
