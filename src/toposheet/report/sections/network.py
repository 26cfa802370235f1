"""The language network: where it is, how it responds, and TopoLM's three criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.localizer import CROSS_VALIDATED
from toposheet.cortex.network import language_network
from toposheet.cortex.profiles import CRITERIA, NETWORK, PROFILES
from toposheet.cortex.verdicts import criterion_verdict
from toposheet.figures.network import network_figure
from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, MeasuredSubject, Section
from toposheet.results import Table
from toposheet.settings import Settings
from toposheet.sheet import stacked

LOCALIZED = Table("localized.csv", {"model": "text", **CROSS_VALIDATED.columns}, CROSS_VALIDATED.description)
PROFILES_OF_MODELS = PROFILES.beside(model="text")
CRITERIA_OF_MODELS = CRITERIA.beside(model="text")
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
    "a unit, whether it prefers the first condition of the localizer, and the number of its cluster in the language network (0: none)",
)

PARTIAL = """
<h2>The language network</h2>
<p class="lead">TopoLM's three criteria of a language network:</p>
<ol class="lead">
<li><i>Selective</i>: units that one half of the localizer's texts selects prefer sentences to non-words in the other half, and units that prefer sentences lie together.</li>
<li><i>Response profile</i>: the network responds more to sentences (S) than to word lists (W) and Jabberwocky (J), and to these more than to non-words (N), as in humans.</li>
<li><i>Consistent</i>: its clusters respond alike.</li>
</ol>
<p class="lead">Values are Cohen's d over texts, or what is named. Nulls are units at other places for the second measure, shuffled conditions for consistency. <i>Shown</i> is
p ≤ 0.05 with a positive value; what is not shown may still be so.</p>
<div class="scroll"><table>
<tr><th class="left">model</th><th class="left">criterion</th><th class="left">measure</th><th>value</th><th>null</th><th>p</th><th></th></tr>
{% for row in criteria.itertuples() %}
<tr{% if loop.changed(row.model) %} class="new"{% endif %}><td class="left">{{ row.model }}</td><td class="left">{{ row.criterion }}</td><td class="left">{{ row.measure }}</td>
<td>{{ row.value | number }}</td><td>{% if row.null_mean == row.null_mean %}{{ row.null_mean | number }} ± {{ row.null_sd | number }}{% else %}–{% endif %}</td>
<td>{{ row.p | p }}</td><td class="left{{ ' yes' if row.verdict == 'shown' }}">{{ row.verdict }}</td></tr>
{% endfor %}
</table></div>
<p class="lead">{% for row in localized.itertuples() %}{{ row.model }}: odd items select {{ "{:,}".format(row.n_selected) }} units ({{ row.fraction | percent }}); the
first test measures these in even items. {% endfor %}</p>
{{ figure("network") }}
"""


def _subject_tables(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    battery = measured.battery
    if battery.localizer is None or battery.measured is None:
        return {}
    comparison = measured.comparison(battery.localizer, 0)
    network = language_network(
        comparison,
        measured.studies[battery.measured].responses,
        permutations=settings.permutations,
        seed=settings.seed,
        min_size=settings.min_size,
        contiguity=settings.contiguity,
        progress=progress,
    )
    units = {name: network.clusters[name].values for name in ("sheet", "tap", "y", "x")}
    units["selective"] = (comparison.q.values < SIGNIFICANT) & (comparison.t.values > 0)
    return {
        LOCALIZED: network.localized,
        PROFILES_OF_MODELS: network.profiles,
        CRITERIA_OF_MODELS: network.criteria,
        NETWORK_UNITS: pd.DataFrame(units | {"cluster": network.clusters.values}),
    }


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    criteria, localized = analysis.results.get(CRITERIA_OF_MODELS), analysis.results.get(LOCALIZED)
    if criteria is None or localized is None:
        return None
    return {
        "criteria": criteria.assign(verdict=_verdicts(analysis)),
        "localized": localized[localized["tap"] == ALL_TAPS],
    }


def _verdicts(analysis: Analysis) -> list[str]:
    """Return what each test of the criteria says."""
    return [
        criterion_verdict(
            row["p"],
            holds=row["holds"],
            of_draws=not np.isnan(row["null_mean"]),
            permutations=analysis.facts["permutations"],
        )
        for row in analysis.results[CRITERIA_OF_MODELS].to_dict("records")
    ]


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if analysis.results.get(NETWORK_UNITS) is None:
        return
    yield Drawing("network", "The language network", _sentence(analysis), _figure(analysis))


def _figure(analysis: Analysis) -> Figure:
    assert analysis.results.maps is not None, "a localizer is mapped"
    contrast, profiles = analysis.facts["language"], analysis.results[PROFILES_OF_MODELS]
    raw = {"contrast": contrast, "negative_control": "", "fwhm_mm": analysis.results.maps["fwhm_mm"].values.min()}
    t, units = analysis.results.maps["t"].sel(raw), analysis.results[NETWORK_UNITS]
    clusters = {}
    for name in analysis.names:
        rows = units[units["model"] == name]
        where = {column: ("unit", rows[column].to_numpy()) for column in ("sheet", "y", "x")}
        where["spacing_mm"] = ("unit", np.ones(len(rows)))
        numbers = xr.DataArray(rows["cluster"].to_numpy(dtype=float), dims="unit", coords=where)
        clusters[name] = stacked(numbers).reindex_like(t.isel(model=0, drop=True))
    responses = {name: profiles[profiles["model"] == name] for name in analysis.names}
    return network_figure(t, clusters, responses, contrast, NETWORK)


def _sentence(analysis: Analysis) -> str:
    units, criteria = analysis.results[NETWORK_UNITS], analysis.results[CRITERIA_OF_MODELS]
    criteria = criteria.assign(verdict=_verdicts(analysis))
    parts = []
    for name in analysis.names:
        of_model, tests = units[units["model"] == name], criteria[criteria["model"] == name]
        parts.append(
            f"{name}: {int(of_model['selective'].sum()):,} units prefer sentences (q < {SIGNIFICANT:g}), "
            f"{int((of_model['cluster'] > 0).sum()):,} of them are in {of_model['cluster'].max()} clusters of at least "
            f"{analysis.facts['min_size']} units, the network; {int((tests['verdict'] == 'shown').sum())} of the "
            f"{len(tests)} tests in the table above are shown"
        )
    return (
        "Left: the localizer's map with the outlines of the clusters. Right: the mean absolute response of the network "
        "(bars) and of each cluster (lines) to other texts.\n" + "\n".join(f"{part}." for part in parts)
    )


SECTION = Section(
    place=30,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(LOCALIZED, PROFILES_OF_MODELS, CRITERIA_OF_MODELS, NETWORK_UNITS),
    subject_tables=_subject_tables,
)
