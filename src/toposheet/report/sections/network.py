"""The section of the language network: its place, its responses, and TopoLM's three criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex.cluster_responses import ABSOLUTE, MEASURES, NETWORK, SIGNED
from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.criteria import CRITERIA, SELECTIVE, names_of_tests
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.localizer import CROSS_VALIDATED, localize
from toposheet.cortex.network import language_network
from toposheet.cortex.profiles import MATCHED, PROFILE_TESTS, PROFILES
from toposheet.cortex.verdicts import criterion_verdict
from toposheet.figures.network import network_figure
from toposheet.progress import Progress, part_of
from toposheet.report.analysis import Analysis
from toposheet.report.draws import draws_of
from toposheet.report.section import Drawing, MeasuredSubject, Section, SectionTables
from toposheet.results import Table, rows_with
from toposheet.settings import Settings
from toposheet.sheet import stacked
from toposheet.stats import holm
from toposheet.wording import counted

LOCALIZED = Table("localized.csv", {"model": "text", **CROSS_VALIDATED.columns}, CROSS_VALIDATED.description)
PROFILES_OF_MODELS = PROFILES.beside(model="text")
PROFILE_TESTS_OF_MODELS = PROFILE_TESTS.beside(model="text")
CRITERIA_OF_MODELS = replace(CRITERIA, columns={"model": "text", **CRITERIA.columns, "p_holm": "number"})
NETWORK_UNITS = Table(
    "network.csv",
    {
        "model": "text",
        "sheet": "text",
        "tap": "text",
        "y": "count",
        "x": "count",
        "selective": "flag",
        "cluster": "count",
    },
    "a unit: whether it prefers the first condition, and the number of its cluster (0: none)",
)
_MEASURES = MEASURES | {SIGNED: f"{MEASURES[SIGNED]} (sd)"}  # in the figure

PARTIAL = """
<h2>The language network</h2>
<p class="lead">A localizer is a contrast that selects units; here it is {{ facts.language }}. The language network is the set of units that prefer sentences to non-words (t &gt; 0, q &lt; {{ significant }}) and that are in a
cluster of at least {{ facts.min_size }} such units. TopoLM has three criteria of a language network:</p>
<ol class="lead">
<li><i>Selective</i>: one half of the localizer's texts selects units; these units respond more to sentences than to non-words in the other half. Also, this effect is spatially ordered: neighbouring units have similar effects, more than the same effects at random places.</li>
<li><i>Response profile</i>: the network responds more to sentences (S) than to word lists (W), and more to S than to Jabberwocky (J). It responds more to W and to J than to lists of non-words (N). The human language network responds in this way.</li>
<li><i>Consistent</i>: the clusters of the network have similar response profiles.</li>
</ol>
<p class="lead">The second and the third criterion depend on the measure of a response, so both are tested with two measures. The choice of the paper is the <i>mean |response|</i>: the mean over units of the absolute activation. Our choice is the <i>signed response</i>: each unit is standardised over the texts, and the response is the mean over units. The localizer is signed, because it selects units with t &gt; 0. A unit whose activations are negative can have the larger absolute activation in non-words, although it prefers sentences; the mean |response| counts such a unit with the wrong sign.</p>
<p class="lead">A larger response to S than to N is nearly given by the selection of the units, because the localizer compares sentences with non-words. The informative comparisons are S with W and J with N: both sides have the same kind of words, once as a sentence and once as a list. They are also tested within texts of equal numbers of tokens (matched in tokens): the differences within each number of tokens are averaged, so all texts count whose number of tokens both conditions have{% for of_pair in matched %}; {{ of_pair }}{% endfor %}.</p>
<p class="lead">The table has the tests of these criteria{% if models | length > 1 %}, with all models side by side{% endif %}. (d) marks Cohen's d over texts, or over groups or pairs where texts belong together; other rows name their value. The null (in brackets) of the correlation of profiles has no effect of the conditions, and the noise of each condition. The result is <i>shown</i> if p ≤ {{ significant }} and the value is positive. <i>p (Holm)</i> is corrected for the number of tests of the table, in each model separately, and the result says whether it is also at most {{ significant }}. <i>Not shown</i> means: these data give no evidence; the criterion may still be met.</p>
<div class="scroll"><table>
<tr><th class="left" rowspan="2">criterion</th><th class="left" rowspan="2">measure</th>{% for model in models %}<th class="left" colspan="4">{{ model }}</th>{% endfor %}</tr>
<tr>{% for model in models %}<th>value</th><th>p</th><th>p (Holm)</th><th class="left">result</th>{% endfor %}</tr>
{% for test in criteria %}
<tr{% if loop.changed(test.criterion) %} class="new"{% endif %}><td class="left">{{ test.criterion }}</td><td class="left">{{ test.measure }}</td>
{% for row in test.rows %}<td>{{ row.value | number }}{% if row.null_mean == row.null_mean %} ({{ mean_and_sd(row.null_mean, row.null_sd) }}){% endif %}</td><td>{{ row.p | p }}</td><td>{{ row.p_holm | p }}</td><td class="left{{ ' yes' if row.shown }}">{{ row.verdict }}</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
<p class="lead">A criterion that a control model meets too is no evidence of topography: the control was trained without it. {{ follows }}</p>
<p class="lead">{% for row in localized.itertuples() %}In {{ row.model }}, the odd texts select {{ "{:,}".format(row.n_selected) }} units ({{ row.fraction | percent }}).
{% endfor %}The first test measures these units with the even texts, which are its held-out items.</p>
{{ figure("network") }}
"""


def _subject_tables(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    battery = measured.battery
    if battery.localizer is None or battery.measured is None:
        return {}
    comparison = measured.comparison(battery.localizer, 0)
    responses = measured.studies[battery.measured].responses
    network = language_network(
        comparison,
        responses,
        groups=settings.groups,
        pairs=settings.paired_by if settings.paired_by in responses.coords else None,
        permutations=settings.draws,
        seed=settings.seed,
        min_size=settings.min_size,
        contiguity=settings.contiguity,
        ordered=measured.organised(battery.localizer, 0, part_of(progress, 0, 2)),
        progress=part_of(progress, 1, 2),
    )
    units = {name: network.clusters[name].values for name in ("sheet", "tap", "y", "x")}
    units["selective"] = localize(comparison)["mask"].values
    return {
        LOCALIZED: network.localized,
        PROFILES_OF_MODELS: network.profiles,
        PROFILE_TESTS_OF_MODELS: network.tests,
        CRITERIA_OF_MODELS: network.criteria,
        NETWORK_UNITS: pd.DataFrame(units | {"cluster": network.clusters.values}),
    }


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    criteria, localized = analysis.results.get(CRITERIA_OF_MODELS), analysis.results.get(LOCALIZED)
    if criteria is None or localized is None:
        return None
    criteria = _with_verdicts(analysis)
    return {
        "criteria": [
            {"criterion": criterion, "measure": measure, "rows": list(rows.itertuples())}
            for (criterion, measure), rows in criteria.groupby(["criterion", "measure"], sort=False)
        ],
        "follows": _also_in_controls(analysis, criteria),
        "matched": _matched_texts(analysis.results[PROFILE_TESTS_OF_MODELS]),
        "localized": localized[localized["tap"] == ALL_TAPS],
    }


def _also_in_controls(analysis: Analysis, criteria: pd.DataFrame) -> str:
    """Return which tests are shown in a model and also in a control model, in words."""
    controls = [model.name for model in analysis.models if model.is_control]
    if not controls:
        return "This report has no control model, so it does not say what topography adds."
    shown = criteria[criteria["shown"]]
    of_controls = set(shown.loc[shown["model"].isin(controls), "measure"])
    sentences = []
    for name in analysis.names:
        if name not in controls:
            of_model = shown[shown["model"] == name]
            also = of_model["measure"].isin(of_controls)
            sentences.append(
                f"Shown in {name} and also in a control ({', '.join(controls)}): {names_of_tests(of_model[also])}. "
                f"Shown in {name} alone: {names_of_tests(of_model[~also])}."
            )
    return " ".join(
        [*sentences, "A test that is shown in one of two models alone does not show that the models differ."]
    )


def _matched_texts(tests: pd.DataFrame) -> list[str]:
    """Return for each matched comparison and each number of texts: the number of texts, and the models that have it."""
    words = []
    for larger, smaller in MATCHED:
        rows = rows_with(tests[tests["matched"]], larger=larger, smaller=smaller, measure=ABSOLUTE)
        for (n_larger, n_smaller), of_number in rows.groupby(["n_larger", "n_smaller"], sort=False):
            models = ", ".join(of_number["model"])
            few = ", too few for a test" if of_number["p"].isna().all() else ""
            words.append(f"{n_larger} texts of {larger} and {n_smaller} of {smaller} ({models}){few}")
    return words


def _with_verdicts(analysis: Analysis) -> pd.DataFrame:
    """Return the tests of the criteria, with the verdict on each of them, and whether it is shown."""
    criteria, facts = analysis.results[CRITERIA_OF_MODELS], analysis.facts
    verdicts = [
        criterion_verdict(
            row["p"],
            row["p_holm"],
            holds=row["holds"],
            by_draws=row["by_draws"],
            permutations=draws_of(facts, facts["language"]) if row["criterion"] == SELECTIVE else facts["permutations"],
        )
        for row in criteria.to_dict("records")
    ]
    return criteria.assign(verdict=verdicts, shown=[verdict.startswith("shown") for verdict in verdicts])


def _completed_tables(tables: SectionTables) -> SectionTables:
    """Return the table of criteria with p_holm: p corrected for the number of tests of the criteria of each model."""
    if (criteria := tables.get(CRITERIA_OF_MODELS)) is None:
        return {}
    corrected = criteria.copy()
    for _, family in criteria[criteria["p"].notna()].groupby("model"):
        corrected.loc[family.index, "p_holm"] = holm(family["p"].to_numpy())
    return {CRITERIA_OF_MODELS: corrected}


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if analysis.results.get(NETWORK_UNITS) is None:
        return
    yield Drawing("network", "The language network", _sentence(analysis), _figure(analysis))


def _figure(analysis: Analysis) -> Figure:
    assert analysis.results.maps is not None, "a localizer is mapped"
    contrast, profiles = analysis.facts["language"], analysis.results[PROFILES_OF_MODELS]
    raw = {"contrast": contrast, "negative_control": "", "fwhm_mm": 0.0}
    t, units = analysis.results.maps["t"].sel(raw), analysis.results[NETWORK_UNITS]
    clusters = {}
    for name in analysis.names:
        rows = units[units["model"] == name]
        where = {column: ("unit", rows[column].to_numpy()) for column in ("sheet", "y", "x")}
        where["spacing_mm"] = ("unit", np.ones(len(rows)))
        numbers = xr.DataArray(rows["cluster"].to_numpy(dtype=float), dims="unit", coords=where)
        clusters[name] = stacked(numbers, shared="largest").reindex_like(t.isel(model=0, drop=True))
    responses = {name: profiles[profiles["model"] == name] for name in analysis.names}
    return network_figure(t, clusters, responses, contrast, NETWORK, _MEASURES)


def _sentence(analysis: Analysis) -> str:
    units, criteria = analysis.results[NETWORK_UNITS], _with_verdicts(analysis)
    parts = []
    for name in analysis.names:
        model_units, tests = units[units["model"] == name], criteria[criteria["model"] == name]
        parts.append(
            f"{name}: {counted(int(model_units['selective'].sum()), 'unit')} with a preference for sentences (q < {SIGNIFICANT:g}). "
            f"{int((model_units['cluster'] > 0).sum()):,} of these units are in "
            f"{counted(int(model_units['cluster'].max()), 'cluster')} of at least {analysis.facts['min_size']} units: the "
            "network. "
            f"Shown in the table above: {names_of_tests(tests[tests['shown']])}"
        )
    return (
        "Left: the maps of the localizer's contrast, with outlines of the clusters (on small maps, the units of clusters alone have full colour); a map without a cluster is pale. Right: the response of "
        "the network to other texts (bars, with 95 % intervals), by both measures; 0 of the signed response is the mean of "
        "all these texts. Beside each bar, the responses of its clusters: a dot for each cluster, or, of many clusters, the "
        "median (line) and the range from 10 to 90 % of the clusters (grey).\n"
        + "\n".join(f"{part}." for part in parts)
    )


SECTION = Section(
    position=30,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(LOCALIZED, PROFILES_OF_MODELS, PROFILE_TESTS_OF_MODELS, CRITERIA_OF_MODELS, NETWORK_UNITS),
    subject_tables=_subject_tables,
    completed_tables=_completed_tables,
)
