"""The section of methods: how the numbers were computed, and the text on which the models were trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposheet.report.analysis import Analysis
from toposheet.report.draws import fewer_draws_in_words
from toposheet.report.readings import readings_in_words
from toposheet.report.section import Section
from toposheet.topography.taps import RESIDUAL

PARTIAL = """
<h2>Methods</h2>
<p class="lead"><b>Responses.</b> The response of a unit to a text is made from its activations at the tokens of the text. Reading: {{ reading }}. {% if facts.reading.pooling == "padded-mean" %}The padding is that of batches of 12 texts in the order of the table, as in the published code of TopoLM. Special tokens do not{% else %}Padding and special tokens do not{% endif %} count. Activations are recorded in float32.{% if of_modules %} A tap is the output of a module;
at a sub-layer (attention or MLP), this is before the residual addition.{% endif %}{% if of_stream %} A tap that ends with &gt;residual is the residual stream after the output of the module was added to it.{% endif %}{% for name, model in facts.models.items() %} Taps of {{ name }}: {{ model.taps | join(", ") }}, with {{ model.units | counted("unit") }} in total.{% endfor %}</p>
<p class="lead"><b>Contrasts.</b> {% if facts.confounds %}A linear regression removes {{ facts.confounds | join(", ") }} from the responses of each contrast, also of the localizer. Each half of the texts has a
separate regression. If such a confound is nearly the same as the condition, little of the contrast remains. {% endif %}The map of a contrast is Welch's t of each unit. A unit is significant if its false
discovery rate q is below {{ significant }} (Benjamini–Hochberg, over all units of all taps together). {% if facts.groups == "none" %}All texts count singly, also those that share words.{% else %}Some sets have a column {{ facts.groups }} ({{ facts.grouped | join(", ") or "none in this report" }}); texts with the same value
form a group. In these sets p tests the means of the groups, and all texts of a group have one label and are in one half.{% endif %}{% if facts.paired_by %} Two texts with the same value in the column {{ facts.paired_by }} are a pair; t and p test the
differences within pairs.{% endif %} The contrasts are: {{ facts.contrasts | join(", ") }}.{% if facts.negative_controls %} Each
contrast has negative controls: random labels, and texts divided at the median word frequency and at the median length within each condition, after the mean of the condition is
subtracted.{% if facts.negative_controls_left_out %} Note: {{ facts.negative_controls_left_out }}.{% endif %}{% endif %}</p>
<p class="lead"><b>Statistics.</b> The readouts have FWHM {{ facts.fwhm_mm | join(" and ") }} mm (0 is raw). A readout samples the responses of each sheet with a Gaussian whose weights sum to 1, before the contrast. Moran's I
uses queen contiguity, {{ {"binary": "binary weights (1 for each neighbour)", "row": "row-standardised weights (the weights of each cell sum to 1), as in TopoLM's published numbers"}[facts.weights] }} and maps without a threshold.{% if facts.raw_fwhm_mm %} Where numbers are compared with TopoLM's raw maps, the readout of {{ "%g" | format(facts.raw_fwhm_mm) }} mm is used.{% endif %} Cross-half I is the bivariate Moran's I between the maps of two halves of the texts, {% if facts.confounds %}the even and the odd texts in alphabetical order (not defined for negative controls, because the confounds were fitted with the labels of the contrast){% else %}mean over {{ facts.splits }} random halves{% endif %}. Islands need at least 30 significant units, and at least
10 % of the units of the tap. Nulls have {{ facts.permutations }} draws each, seed {{ facts.seed }}{% if fewer_draws %}; {{ fewer_draws }}{% endif %}. p is one-sided: (1 + b) / (1 + B), where b of the B draws are at least as extreme as the value; so the smallest possible p is {{ "%.2g" | format(1 / (1 + facts.permutations)) }}. The place-null
shuffles the units of a tap among their cells, before the readout. The label-null shuffles the labels of the texts; if the conditions have different numbers of texts (or groups), it keeps the noise of each condition instead: the deviations from the mean get random signs.
Organisation compares the product of each unit's effect with the effects of its neighbours, without the part that noise makes, with the same effects at random places of the tap; the noise of the texts stays in its place, with random signs, and
the readout comes afterwards.</p>
<p class="lead"><b>Clusters.</b> Clusters of significant units are connected units of one sign, with at least {{ facts.min_size | counted("unit") }} and {{ facts.contiguity }} contiguity. TopoLM grows its clusters from the most selective unit
and arrives at connected units too (with rook contiguity). The section on selective clusters compares {% if facts.inference == "mass" %}the mass (sum of t) of each cluster of cells above the two-sided p = {{ facts.forming_p }} threshold with
the largest mass{% else %}the threshold-free enhancement (E 0.5, H 2) of each cell with the largest enhancement{% endif %} on any sheet under shuffled labels. So its p is familywise over
sheets.{% if facts.measured %} The language network is all clusters of units with t &gt; 0 and q &lt; {{ significant }} in {{ facts.language }}. For cross-validation, the odd texts (in alphabetical order) select units and the even texts measure the
effect. The response of the network to a text of {{ facts.measured }} has two measures. Mean |response|: the mean absolute activation of its units. Signed response: the activation of each unit is standardised over these texts (minus its mean, divided by its standard deviation;
units without variance are left out), and the response is the mean over units. Intervals are Student's 95 % intervals over texts{% if facts.measured in facts.grouped %}, or over groups{% endif %}; those of signed responses count that their 0 varies as well. Tests matched in tokens compare the texts of two conditions within each number of tokens: a regression with one intercept for each number of tokens, whose standard error (CR2) allows different variances and groups. With pairs, they use the pairs whose two texts have equally many tokens.{% endif %}</p>
<p class="lead"><b>Sources.</b> Stimuli, with the start of the SHA-256 of each table: {% for name, hash in facts.stimuli.items() %}{{ name }} {{ hash[:12] }}{{ ", " if not loop.last }}{% endfor %}. The analyses
follow TopoLM (Rathi et al., ICLR 2025, arXiv:2410.11516).</p>
{% if corpora %}
<h2>Training text</h2>
<p class="lead">The models were trained on text of these corpora.</p>
<div class="scroll"><table>
<tr><th class="left">corpus</th><th class="left">genre</th><th class="left">package</th><th class="left">licence</th><th class="left">source</th></tr>
{% for corpus in corpora %}
<tr><td class="left">{{ corpus.get("name") or "–" }}</td><td class="wrap">{{ corpus.get("genre") or "–" }}</td><td class="left">{{ corpus.get("package") or "–" }}</td><td class="wrap">{{ corpus.get("licence") or "–" }}</td><td class="wrap">{{ corpus.get("source") or "–" }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
"""


def _corpora(analysis: Analysis) -> list[dict[str, str]]:
    return next((result["corpora"] for result in analysis.trained.values()), [])


def _view(analysis: Analysis) -> Mapping[str, Any]:
    facts = analysis.facts
    in_stream = [tap.endswith(RESIDUAL) for model in facts["models"].values() for tap in model["taps"]]
    return {
        "of_stream": any(in_stream),
        "of_modules": not all(in_stream),
        "corpora": _corpora(analysis),
        "reading": readings_in_words(facts),
        "fewer_draws": fewer_draws_in_words(facts),
    }


SECTION = Section(position=120, partial=PARTIAL, view=_view)
