"""What the models were trained on, and what that came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toposheet.recipes import recipe_of
from toposheet.report.analysis import Analysis
from toposheet.report.section import Section
from toposheet.train.result import RESULT

PARTIAL = """
<p class="note">{% if worst > bigram %}
A model this small, trained this briefly, shows topography, not linguistics: its task loss is not even that of a
bigram model. Read the maps as a demonstration of the method.
{% else %}A small model shows topography; whether it shows linguistics, its task loss below must say.{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">model</th><th>task loss</th><th>spatial loss</th><th>alpha</th><th>updates</th><th>tokens</th><th class="left">trained on</th></tr>
{% for name, result in trained.items() %}
<tr><td class="left">{{ name }}</td><td>{{ result.validation_task_loss | number(3) }}</td><td>{{ result.validation_spatial_loss | number(3) }}</td>
<td>{{ alphas[name] }}</td><td>{{ "{:,}".format(result.updates) }}</td><td>{{ "{:,}".format(result.tokens) }}</td><td class="left">{{ result.machine.device }}{{ ", %d processes" % result.machine.processes if result.machine.processes > 1 }}, torch {{ result.machine.torch }}</td></tr>
{% endfor %}
<tr><td class="left">bigram model of the same tokens</td><td>{{ bigram | number(3) }}</td><td>–</td><td>–</td><td>–</td><td>{{ "{:,}".format(tokens) }}</td><td></td></tr>
</table></div>
<p class="lead">Losses are held-out: nats a token, and the mean over taps and all windows.</p>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if not analysis.trained:
        return None
    first, *_ = analysis.trained.values()
    return {
        "trained": analysis.trained,
        "alphas": {name: alpha_of(result) for name, result in analysis.trained.items()},
        "worst": max(result["validation_task_loss"] for result in analysis.trained.values()),
        "bigram": first["bigram_loss"],
        "tokens": first["tokens"],
    }


def alpha_of(result: Mapping[str, Any]) -> float:
    """Return the strength of the objective that a training result was trained with."""
    return recipe_of(result["recipe"], Path(RESULT)).objective.alpha


SECTION = Section(place=10, partial=PARTIAL, view=_view)
