"""The language network: where it is, how it responds, and TopoLM's three criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.localizer import CROSS_VALIDATED
from toposheet.cortex.network import language_network
from toposheet.cortex.profiles import CRITERIA, NETWORK, PROFILES
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
    {"model": "text", "sheet": "text", "tap": "text", "y": "count", "x": "count", "cluster": "count"},
    "a unit, and the number of its cluster in the language network (0: none)",
)

PARTIAL = """
<h2>The language network</h2>
<p class="lead">TopoLM's three criteria: units that one half of the localizer's texts selects prefer sentences in the other half
and form clusters; the network responds more to sentences (S) than to word lists (W) and Jabberwocky (J), and to these more than
to non-words (N), as in humans; its clusters respond alike. Values are Cohen's d over texts, or what is named; nulls are units at other places for clusters, shuffled conditions for
consistency.</p>
<div class="scroll"><table>
<tr><th class="left">model</th><th class="left">criterion</th><th class="left">measure</th><th>value</th><th>null</th><th>p</th><th></th></tr>
{% for row in criteria.itertuples() %}
<tr{% if loop.changed(row.model) %} class="new"{% endif %}><td class="left">{{ row.model }}</td><td class="left">{{ row.criterion }}</td><td class="left">{{ row.measure }}</td>
<td>{{ row.value | number }}</td><td>{% if row.null_mean == row.null_mean %}{{ row.null_mean | number }} ± {{ row.null_sd | number }}{% else %}–{% endif %}</td>
<td>{{ row.p | p }}</td><td class="{{ 'yes' if row.holds else 'no' }}">{{ "holds" if row.holds else "does not hold" }}</td></tr>
{% endfor %}
</table></div>
<p class="lead">{% for row in localized.itertuples() %}{{ row.model }}: odd items select {{ row.n_selected }} units ({{ row.fraction | percent }}).
{% endfor %}</p>
{{ figure("network") }}
"""


def _subject_tables(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    battery = measured.battery
    if battery.localizer is None or battery.measured is None:
        return {}
    network = language_network(
        measured.comparison(battery.localizer, 0),
        measured.studies[battery.measured].responses,
        permutations=settings.permutations,
        seed=settings.seed,
        min_size=settings.min_size,
        contiguity=settings.contiguity,
        progress=progress,
    )
    units = {name: network.clusters[name].values for name in ("sheet", "tap", "y", "x")}
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
    return {"criteria": criteria, "localized": localized[localized["tap"] == ALL_TAPS]}


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
    tests = analysis.results[CRITERIA_OF_MODELS].groupby("model", sort=False)["holds"]
    parts = [f"{name}: {int(holds.sum())} of {len(holds)} tests hold" for name, holds in tests]
    return (
        f"Left: the localizer's map with the outlines of clusters of at least {analysis.facts['min_size']} units that prefer "
        "sentences (q < 0.05). Right: their mean absolute response to other texts. The human language network responds "
        "more to sentences than to word lists and Jabberwocky, and to these more than to non-words. Of the criteria in "
        f"the table above, {'; '.join(parts)}."
    )


SECTION = Section(
    place=30,
    partial=PARTIAL,
    view=_view,
    drawings=_drawings,
    tables=(LOCALIZED, PROFILES_OF_MODELS, CRITERIA_OF_MODELS, NETWORK_UNITS),
    subject_tables=_subject_tables,
)
