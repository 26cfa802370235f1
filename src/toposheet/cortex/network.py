"""The language network of a model: localized with some texts, measured with other texts."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import xarray as xr

from toposheet.cortex.cluster_responses import cluster_responses
from toposheet.cortex.clusters import grow_clusters
from toposheet.cortex.comparison import Comparison, check_comparison
from toposheet.cortex.criteria import check_conditions, criteria, names_of_tests
from toposheet.cortex.localizer import cross_validated
from toposheet.cortex.organisation import organisation
from toposheet.cortex.profiles import consistency_of, profile_tests_of, profiles_of
from toposheet.progress import Progress, part_of
from toposheet.settings import MIN_SIZE, PERMUTATIONS
from toposheet.stimuli.measures import SHARED_WORDS
from toposheet.wording import counted


@dataclass(frozen=True, eq=False)
class LanguageNetwork:
    """The language network of a model, and how it responds.

    Args:
        localized: From `cross_validated`: units selected with one half of the localizer's texts, measured with the
            other half.
        clusters: From `grow_clusters`: the number of the cluster of each unit; 0 means that the unit is in no cluster.
        profiles: From `profiles`: the response of each cluster to each condition of the other texts, signed and
            absolute.
        tests: From `profile_tests`: tests of the profile of the whole network.
        criteria: From `criteria`: TopoLM's three criteria of a language network, with their tests.
    """

    localized: pd.DataFrame
    clusters: xr.DataArray
    profiles: pd.DataFrame
    tests: pd.DataFrame
    criteria: pd.DataFrame

    def __repr__(self) -> str:
        n_clusters, n_units = int(self.clusters.max()), int((self.clusters > 0).sum())
        held = self.criteria[self.criteria["holds"]]
        return (
            f"LanguageNetwork({n_units:,} of {self.clusters.size:,} units in {counted(n_clusters, 'cluster')})\n"
            f"  significant tests of the three criteria: {len(held)} of {len(self.criteria)}, "
            f"{names_of_tests(held)} (see .criteria)"
        )


def language_network(
    comparison: Comparison,
    measured: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    min_size: int = MIN_SIZE,
    contiguity: str = "queen",
    ordered: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> LanguageNetwork:
    """Return the language network of a model, and how it responds.

    Args:
        comparison: The comparison of the localizer's texts: sentences against non-words.
        measured: Responses to other texts, with the conditions S (sentences), W (word lists), J (Jabberwocky) and N
            (non-word lists).
        groups: Name of the column of `measured` that defines groups of texts that are not independent, see `profiles`.
        pairs: Name of the column of `measured` that defines pairs, see `profile_tests`.
        permutations: Number of draws of each null.
        seed: Seed of the draws.
        min_size: Number of units of the smallest cluster that counts.
        contiguity: Which cells are neighbours in a cluster. `"queen"`: cells that share an edge or a corner. `"rook"`:
            cells that share an edge.
        ordered: The table of `organisation` of `comparison`, with its raw map. None: it is computed here.
        progress: A function that is called with the work done so far. None: no calls.

    Returns:
        A `LanguageNetwork`: the clusters of the network, the profiles of the clusters with their tests, and TopoLM's
        three criteria.

    Raises:
        UserError: A condition is missing or has too few texts, or the two sets of responses belong to different units
            or have different readings.
    """
    check_comparison(comparison)
    check_conditions(measured["condition"].values.tolist())
    localized = cross_validated(comparison)
    clusters = grow_clusters(comparison, min_size=min_size, contiguity=contiguity)
    draws = {"permutations": permutations, "seed": seed}
    if ordered is None:
        ordered = organisation(comparison, fwhm_mm=(0.0,), progress=part_of(progress, 0, 2), **draws)
    of_clusters = cluster_responses(measured, clusters, part_of(progress, 1, 2))
    tests = profile_tests_of(of_clusters, groups=groups, pairs=pairs)
    similarity = consistency_of(of_clusters, groups=groups, pairs=pairs, **draws)
    return LanguageNetwork(
        localized=localized,
        clusters=clusters,
        profiles=profiles_of(of_clusters, groups=groups),
        tests=tests,
        criteria=criteria(localized, ordered, tests, similarity),
    )
