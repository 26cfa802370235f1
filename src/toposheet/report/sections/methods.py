"""Methods: how the numbers came about, in words, and which text the models learned from."""

from __future__ import annotations

from toposheet.report.analysis import Analysis
from toposheet.report.section import Section

PARTIAL = """
<h2>Methods</h2>
<p class="lead">A response is {{ {"mean": "the mean activation of a unit over a text's own tokens", "last": "the activation of a unit at a text's last token",
"sum": "the sum of a unit's activations over a text's own tokens"}[facts.reading.pooling] }} (no padding, no special tokens), in float32, at the output of the
modules that are tapped (of sub-layers, before the residual addition).{% for name, model in facts.models.items() %} Taps of {{ name }}: {{ model.taps | join(", ") }}, with {{ model.units }} units.{% endfor %}
{% if facts.confounds %} What can be explained by {{ facts.confounds | join(", ") }} is taken out of the responses of each contrast, the localizer's too, by linear regression in either half of the texts by itself; where these nearly are the condition, little is left of the contrast.{% endif %}
 Contrasts are Welch's t; a unit is significant at q &lt; 0.05, Benjamini–Hochberg over all units of all taps jointly. In sets with a column
shared_words ({{ facts.grouped | join(", ") or "none here" }}) p is of the means of groups of texts, not of texts, and groups keep one label and lie in one half. Readouts: FWHM {{ facts.fwhm_mm | join(" and ") }} mm (0: raw); a Gaussian of unit mass samples the responses of each sheet before
the contrast. Moran's I uses queen contiguity on un-thresholded maps; cross-half I is the bivariate Moran's I between the maps of even and of
odd items; islands need at least 30 significant units and 10 %. Nulls have {{ facts.permutations }} draws each, seed {{ facts.seed }}; p is one-sided,
(1 + b) / (1 + B). The place-null shuffles units within their tap and goes through the same readout; the label-null deals the stimuli out to the conditions
anew. Clusters are connected significant units of one sign, at least {{ facts.min_size }}, {{ facts.contiguity }} contiguity (which is what TopoLM's growing
from the most selective unit ends with). Cluster-level inference compares {% if facts.inference == "mass" %}the mass (sum of t) of clusters of cells that pass the two-sided
{{ facts.forming_p }} threshold with the largest mass{% else %}the threshold-free enhancement (E 0.5, H 2) of each cell with the largest{% endif %} of any tap under shuffled
labels, so that p is familywise over taps. Contrasts: {{ facts.contrasts | join(", ") }}{% if facts.negative_controls %}, each beside negative controls: random labels,
and texts split at the median word frequency and length within conditions, whose means are taken out{% if facts.left_out %} ({{ facts.left_out }}){% endif %}{% endif %}.
{% if facts.measured %} The language network is all clusters of units with t &gt; 0 and q &lt; 0.05 in {{ facts.language }}; odd items select and even items measure where
it is cross-validated; its response to a text of {{ facts.measured }} is the mean |activation| of its units; intervals are 95 % percentile intervals of
{{ "{:,}".format(facts.resamples) }} bootstrap resamples of the texts.{% endif %}
 Stimuli (SHA-256 of the tables): {% for name, hash in facts.stimuli.items() %}{{ name }} {{ hash[:12] }}{{ ", " if not loop.last }}{% endfor %}. Models and
analyses follow TopoLM (Rathi et al., ICLR 2025, arXiv:2410.11516).</p>
{% if corpora %}
<h2>Text</h2>
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


SECTION = Section(place=120, partial=PARTIAL, view=lambda analysis: {"corpora": _corpora(analysis)})
