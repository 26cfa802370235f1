"""The section of selective clusters: clusters that are larger than shuffled labels make them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex import SIGNIFICANT, selective_clusters
from toposheet.cortex.cluster_inference import CLUSTERS
from toposheet.cortex.summary import raw_rows
from toposheet.cortex.verdicts import not_tested
from toposheet.progress import Progress, part_of
from toposheet.report.analysis import Analysis
from toposheet.report.draws import fewer_draws_in_words
from toposheet.report.same_splits import same_splits_as_one
from toposheet.report.section import MeasuredComparison, Section
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.results import Table, rows_with
from toposheet.settings import Settings

CLUSTERS_OF_MODELS = CLUSTERS.beside(model="text", stimuli="text")

PARTIAL = """
<h2>Selective clusters</h2>
<p class="lead">This section tests whether the raw map of a contrast has selective clusters. {% if facts.inference == "mass" %}A cluster is a set of adjacent cells of one sign with |t| above the
two-sided p = {{ facts.forming_p }} threshold. Its mass is the sum of t over its cells. The p of a cluster compares its mass with the largest mass on any sheet when the labels of the texts are shuffled.{% else %}Each
cell has a threshold-free cluster enhancement (TFCE). The p of a cell compares this value with the largest value on any sheet when the labels of the texts are shuffled. A cluster is a set of adjacent cells of one sign with p &lt; {{ significant }}.{% endif %} So p is corrected for all clusters of all sheets (familywise). If the conditions have different numbers of texts, the null keeps the noise of each condition instead of shuffling labels. A cluster survives if p ≤ {{ significant }}. p is not corrected for the number of contrasts: even if the labels have no effect, about one contrast in twenty has a surviving cluster.
Negative controls by word frequency or length may also have surviving clusters. So a surviving cluster alone is weak evidence: compare the sizes with those of the negative controls. <i>No p</i>: the noise is skewed and the conditions differ in their number of texts or in their spread, or the texts are not independent, so the test would not hold.{% if few %} <b>In this report clusters are {{ few }}.</b>{% endif %}{% if fewer_draws %} {{ fewer_draws }}.{% endif %}</p>
<div class="scroll"><table>
<tr><th class="left">contrast</th><th class="left">negative control</th><th class="left">model</th><th>clusters</th><th>surviving clusters</th><th>units in surviving clusters</th><th>units of the largest one</th><th>smallest p</th></tr>
{% for row in clusters.itertuples() %}
<tr{% if loop.changed(row.contrast) %} class="new"{% endif %}><td class="left">{{ row.contrast }}</td><td class="left">{{ row.negative_control or "–" }}</td><td class="left">{{ row.model }}</td>
<td>{{ row.formed }}</td><td>{% if row.formed and row.p != row.p %}no p{% else %}{{ row.survive }}{% endif %}</td><td>{{ row.units }}</td><td>{{ row.largest }}</td><td>{% if row.p <= significant and not row.negative_control %}<b>{{ row.p | p }}</b>{% else %}{{ row.p | p }}{% endif %}</td></tr>
{% endfor %}
</table></div>
"""


def _comparison_tables(
    measured: MeasuredComparison, settings: Settings, progress: Progress
) -> Mapping[Table, pd.DataFrame]:
    with warnings.catch_warnings():
        # The page says which negative controls have no p, and a note says which readings give none.
        if measured.comparison.negative_control or measured.comparison.mixes_texts:
            warnings.simplefilter("ignore", UserWarning)
        tables = [
            selective_clusters(
                readout,
                permutations=settings.draws,
                seed=settings.seed,
                inference=settings.inference,
                forming_p=settings.forming_p,
                contiguity=settings.contiguity,
                progress=part_of(progress, number, len(measured.readouts)),
            )[0]
            for number, readout in enumerate(measured.readouts)
        ]
    filled = [table for table in tables if len(table)]
    return {CLUSTERS_OF_MODELS: pd.concat(filled, ignore_index=True) if filled else tables[0]}


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    statistics, clusters = analysis.results.get(STATISTICS_OF_MODELS), analysis.results.get(CLUSTERS_OF_MODELS)
    if statistics is None or clusters is None:
        return None
    table = same_splits_as_one(_surviving(statistics, clusters), statistics)
    return {
        "clusters": table,
        "few": not_tested(analysis.facts["permutations"]),
        "fewer_draws": fewer_draws_in_words(analysis.facts),
    }


def _surviving(statistics: pd.DataFrame, clusters: pd.DataFrame) -> pd.DataFrame:
    """Return for each raw map the number of clusters, the number of surviving clusters, and their sizes."""
    keys = ["contrast", "negative_control", "fwhm_mm", "model"]
    maps = raw_rows(statistics)[keys].drop_duplicates()
    order = {
        name: i for i, name in enumerate(dict.fromkeys(zip(maps["contrast"], maps["negative_control"], strict=True)))
    }
    rows = []
    for row in ({str(key): value for key, value in map_row.items()} for map_row in maps.to_dict("records")):
        formed = rows_with(clusters, **row)
        real = formed[formed["p"] <= SIGNIFICANT]
        rows.append(
            row
            | {
                "formed": len(formed),
                "survive": len(real),
                "units": int(real["n_units"].sum()),
                "largest": int(real["n_units"].max()) if len(real) else 0,
                "p": float(formed["p"].min()) if len(formed) else float("nan"),
            }
        )
    table = pd.DataFrame(rows)
    position = [order[pair] for pair in zip(table["contrast"], table["negative_control"], strict=True)]
    return table.iloc[np.argsort(position, kind="stable")]


SECTION = Section(
    position=50, partial=PARTIAL, view=_view, tables=(CLUSTERS_OF_MODELS,), comparison_tables=_comparison_tables
)
