"""The section of training: the losses, the tokens and the hardware of each trained model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toposheet.recipes import Recipe, recipe_of
from toposheet.recipes.result import RESULT
from toposheet.report.analysis import Analysis
from toposheet.report.section import Section

PARTIAL = """
<h2>The models</h2>
<p class="note">{% if worst > bigram %}
At least one model predicts text less well than a bigram model of the same tokens: its task loss is higher. Such a model is very small, or its training
was short. It can show topography, not linguistics. Read the maps as a demonstration of the method.
{% else %}A small model can show topography although it predicts text badly. The task loss in this table says how well each model predicts text.{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">model</th><th>task loss</th><th>spatial loss</th><th class="left">method</th><th>alpha</th><th>alpha × sum</th><th>updates</th><th>tokens</th><th class="left">trained on</th></tr>
{% for name, result in trained.items() %}
<tr><td class="left">{{ name }}</td><td>{{ result.validation_task_loss | number(3) }}</td><td>{{ result.validation_spatial_loss | number(3) }}</td>
<td class="left">{{ methods[name] }}</td><td>{{ alphas[name] }}</td><td>{{ weighted[name] | number(3) }}</td><td>{{ "{:,}".format(result.updates) }}</td><td>{{ "{:,}".format(result.tokens) }}</td><td class="left">{{ result.machine.device }}{{ ", %d processes" % result.machine.processes if result.machine.processes > 1 }}, torch {{ result.machine.torch }}</td></tr>
{% endfor %}
<tr><td class="left">bigram model of the same tokens</td><td>{{ bigram | number(3) }}</td><td>–</td><td class="left"></td><td>–</td><td>–</td><td>–</td><td>{{ "{:,}".format(tokens) }}</td><td></td></tr>
</table></div>
<p class="lead">Both losses are measured on held-out text. The task loss is the cross-entropy in nats per token. The spatial loss is the mean over sheets and all windows. The method is the
objective of the training, or the mechanism in the weights of attention; a control has neither. Alpha is the strength of the spatial objective; 0 means no spatial objective. Alpha × sum is alpha times the sum of the spatial losses of all sheets, which TopoLM's published code logs.</p>
"""


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    if not analysis.trained:
        return None
    first, *_ = analysis.trained.values()
    return {
        "trained": analysis.trained,
        "methods": {name: _recipe(result).method for name, result in analysis.trained.items()},
        "alphas": {name: alpha_of(result) for name, result in analysis.trained.items()},
        "weighted": {name: weighted_spatial_loss(result) for name, result in analysis.trained.items()},
        "worst": max(result["validation_task_loss"] for result in analysis.trained.values()),
        "bigram": first["bigram_loss"],
        "tokens": first["tokens"],
    }


def alpha_of(result: Mapping[str, Any]) -> float:
    """Return alpha, the strength of the spatial objective, from the recipe in a training result."""
    return _recipe(result).objective.alpha


def weighted_spatial_loss(result: Mapping[str, Any]) -> float:
    """Return alpha times the sum of the held-out spatial losses of all sheets. TopoLM's published code logs this sum."""
    return alpha_of(result) * sum(result["validation_spatial_losses"].values())


def _recipe(result: Mapping[str, Any]) -> Recipe:
    return recipe_of(result["recipe"], Path(RESULT))


SECTION = Section(position=10, partial=PARTIAL, view=_view)
