"""The response of each cluster to each text, by two measures: signed and absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from toposheet.cortex.design import check_finite, stimuli_of
from toposheet.cortex.layout import ALL_TAPS, check_coordinates, tap_of
from toposheet.errors import UserError, check_type
from toposheet.progress import SILENT, Progress
from toposheet.provenance import check_same_reading
from toposheet.stats import centred

NETWORK = "network"
SIGNED, ABSOLUTE = "signed", "absolute"
MEASURES = {ABSOLUTE: "mean |response|", SIGNED: "signed response"}
"""The measures of a response, with their names in words. The choice of the paper is the first."""

_BLOCK = 512  # units that are in memory in float64 at once


@dataclass(frozen=True, eq=False)
class ClusterResponses:
    """The response of each cluster to each text. The last one is the network: all clusters together.

    Args:
        names: The number of each cluster, and `network`. Empty: there is no cluster.
        taps: The tap of each cluster; `*` for a cluster with units of several taps, and for the network.
        n_units: For each measure the number of units that are averaged in each cluster.
        values: For each measure the response of each cluster to each text.
        stimuli: The columns of the texts.
    """

    names: tuple[str, ...]
    taps: tuple[str, ...]
    n_units: Mapping[str, Int[np.ndarray, " clusters"]]
    values: Mapping[str, Float[np.ndarray, "texts clusters"]]
    stimuli: pd.DataFrame


def cluster_responses(
    responses: xr.DataArray, clusters: xr.DataArray, progress: Progress | None = None
) -> ClusterResponses:
    """Return the response of each cluster, and of all clusters together, to each text, by two measures.

    *absolute*: the mean of the absolute activations of the units, as in TopoLM (arXiv:2410.11516, after Fedorenko et
    al. 2011, doi:10.1073/pnas.1112937108).

    *signed*: each unit is standardised over all texts: z = (activation - mean) / standard deviation, with the
    denominator n - 1. The response is the mean of z over the units. Silent units (units without variance) are left out.
    So 0 is the mean response to all these texts, and all units count alike.

    Args:
        responses: Responses from `respond`, to other texts than those that made the clusters.
        clusters: The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster
            (`grow_clusters`).
        progress: A function that is called with the number of clusters done so far. None: no calls.

    Raises:
        UserError: The two arrays have different units or different readings, or a response is nan or infinite.
    """
    check_type("clusters", clusters, xr.DataArray, "what toposheet.grow_clusters returns")
    check_coordinates(clusters, "tap")
    check_coordinates(responses, "tap", "condition")
    if not clusters["tap"].equals(responses["tap"]):
        raise UserError("the clusters and the responses have different units: compute both with the same model")
    check_same_reading(clusters, "the clusters", responses)
    check_finite(responses)
    texts, of_unit = responses.transpose("stimulus", "unit").values, clusters.values
    n_clusters, tell = int(of_unit.max()), progress or SILENT
    sums = {measure: np.zeros((len(texts), n_clusters)) for measure in MEASURES}
    n_units = {measure: np.zeros(n_clusters, dtype=int) for measure in MEASURES}
    members = [np.flatnonzero(of_unit == number) for number in range(1, n_clusters + 1)]
    for n, units in enumerate(members):
        tell("profiles of clusters, cluster", n, n_clusters)
        for start in range(0, len(units), _BLOCK):
            block = texts[:, units[start : start + _BLOCK]].astype(np.float64)
            standardised = _standardised(block)
            sums[ABSOLUTE][:, n] += np.abs(block).sum(axis=1)
            sums[SIGNED][:, n] += standardised.sum(axis=1)
            n_units[ABSOLUTE][n] += block.shape[1]
            n_units[SIGNED][n] += standardised.shape[1]
    n = max(n_clusters, 1)  # without clusters the work is finished at once
    tell("profiles of clusters, cluster", n, n)
    names = tuple(str(number) for number in range(1, n_clusters + 1))
    taps = tuple(tap_of(clusters["tap"].values[units]) for units in members)
    if n_clusters:
        names, taps = (*names, NETWORK), (*taps, ALL_TAPS)
        sums = {measure: np.column_stack([x, x.sum(axis=1)]) for measure, x in sums.items()}
        n_units = {measure: np.append(n, n.sum()) for measure, n in n_units.items()}
    values = {measure: sums[measure] / np.where(n_units[measure] > 0, n_units[measure], np.nan) for measure in MEASURES}
    return ClusterResponses(names, taps, n_units, values, stimuli_of(responses))


def _standardised(x: Float[np.ndarray, "texts units"]) -> Float[np.ndarray, "texts active"]:
    """Return the responses of the units that are not silent, minus their mean, divided by their standard deviation."""
    deviations = centred(x)
    squares = (deviations**2).sum(axis=0)
    active = squares > 0
    return deviations[:, active] / np.sqrt(squares[active] / (len(x) - 1))
