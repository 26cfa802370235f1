"""Response profiles of clusters over conditions, and TopoLM's criteria of a language network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats as scipy_stats

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.design import check_finite
from toposheet.cortex.layout import ALL_TAPS, check_coordinates
from toposheet.errors import UserError, check_type, listed
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import check_permutations
from toposheet.stats import against_null

NETWORK, RESAMPLES = "network", 2000
_NULLED = ("value", "null_mean", "null_sd", "z", "p")
PROFILES = Table(
    "profiles.csv",
    {"cluster": "text", "tap": "text", "n_units": "count", "condition": "text", "n_texts": "count",
     "response": "number", "sd": "number", "low": "number", "high": "number"},
    "the response of a cluster, or of the whole network, to one condition",
)  # fmt: skip
CRITERIA = Table(
    "criteria.csv",
    {"criterion": "text", "measure": "text", "value": "number", "null_mean": "number", "null_sd": "number",
     "z": "number", "p": "number", "holds": "flag"},
    "a test of one of TopoLM's three criteria",
)  # fmt: skip
CONDITIONS = ("S", "W", "J", "N")
BRAIN = (("S", "W"), ("S", "J"), ("W", "N"), ("J", "N"))  # in the human language network, the first response is larger


def profiles(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the mean absolute response of each cluster, and of the whole network, to each condition.

    The response of a group of units to a text is the mean of the absolute activations of the units, as in TopoLM
    (arXiv:2410.11516, after Fedorenko et al. 2011, doi:10.1073/pnas.1112937108).

    Args:
        responses: Responses from `respond`, to other texts than those that made the clusters.
        clusters: The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster
            (`grow_clusters`).
        resamples: Number of bootstrap resamples of the texts, for the confidence intervals.
        seed: Seed of the resamples.
        progress: A function that is called with the number of clusters done so far. None: no calls.

    Returns:
        A row for each group of units and each condition. `cluster` is the number of the cluster, or `network` for the
        units of all clusters together; `tap` is `*` for the network. The other columns are `n_units, condition,
        n_texts, response, sd` (standard deviation over texts) and `low, high` (95 % percentile interval over texts).
    """
    check_type("clusters", clusters, xr.DataArray, "what toposheet.grow_clusters returns")
    rng = np.random.default_rng(seed)
    rows, groups = [], _groups(responses, clusters)
    conditions = list(dict.fromkeys(responses["condition"].values.tolist()))
    tell = progress or SILENT
    for number, group in enumerate(groups):
        tell("profiles of clusters, cluster", number, len(groups))
        text_means = group.response(responses)
        for condition in conditions:
            values = text_means[responses["condition"].values == condition]
            means = rng.choice(values, (resamples, len(values))).mean(axis=1)
            low, high = np.quantile(means, (0.025, 0.975))
            rows.append(
                {
                    "cluster": group.name,
                    "tap": group.tap,
                    "n_units": len(group.units),
                    "condition": condition,
                    "n_texts": len(values),
                    "response": values.mean(),
                    "sd": values.std(ddof=1),
                    "low": low,
                    "high": high,
                }
            )
    n = max(len(groups), 1)  # without clusters the work is finished at once
    tell("profiles of clusters, cluster", n, n)
    return PROFILES.frame(rows)


def responds_more(profile: pd.DataFrame, larger: str, smaller: str) -> float:
    """Return the one-sided p of Welch's test: does a group of units respond more to one condition than to another?

    Args:
        profile: The rows of one group in the table of `profiles`. They hold mean, standard deviation and number of
            texts.
        larger: The condition that is expected to have the larger response.
        smaller: The other condition.
    """
    rows = profile.set_index("condition").loc[[larger, smaller], ["response", "sd", "n_texts"]].to_numpy(dtype=float)
    _, p = np.asarray(scipy_stats.ttest_ind_from_stats(*rows.ravel(), equal_var=False, alternative="greater"))
    return float(p)


def consistency(responses: xr.DataArray, clusters: xr.DataArray, *, permutations: int = 99, seed: int = 0) -> pd.Series:
    """Return how similar the response profiles of clusters are: the mean Pearson correlation over pairs of clusters.

    A profile is the mean absolute response of a cluster to each condition. Clusters of one network share much of their
    activity, so their profiles are similar even for arbitrary conditions. The label-null, with shuffled conditions of
    the texts, shows how similar they then are.

    Args:
        responses: Responses from `respond`.
        clusters: Clusters from `grow_clusters`.
        permutations: Number of draws of the label-null.
        seed: Seed of the draws.

    Returns:
        `n_clusters, value, null_mean, null_sd, z, p`. All but `n_clusters` are nan if there are fewer than 2 clusters
        or fewer than 2 conditions.
    """
    check_permutations(permutations)
    groups = [group for group in _groups(responses, clusters) if group.name != NETWORK]
    conditions = responses["condition"].values
    names = list(dict.fromkeys(conditions.tolist()))
    if len(groups) < 2 or len(names) < 2:
        return pd.Series({"n_clusters": len(groups)} | dict.fromkeys(_NULLED, np.nan))
    text_means = np.stack([group.response(responses) for group in groups])
    rng = np.random.default_rng(seed)

    def mean_correlation(labels: np.ndarray) -> float:
        means = np.stack([text_means[:, labels == name].mean(axis=1) for name in names], axis=1)
        r = np.corrcoef(means)
        return float(r[np.triu_indices(len(r), 1)].mean())

    value = mean_correlation(conditions)
    null = against_null(value, np.array([mean_correlation(rng.permutation(conditions)) for _ in range(permutations)]))
    columns = {name: float(column) for name, column in null.columns().items()}
    return pd.Series({"n_clusters": len(groups), "value": value} | columns)


def criteria(
    localized: pd.DataFrame,
    clustering: pd.DataFrame,
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    permutations: int = 99,
    seed: int = 0,
) -> pd.DataFrame:
    """Return whether a network meets TopoLM's three criteria of a language network, with a test of each.

    1. *Selective*: units selected by one half of the texts prefer sentences to non-words in the other half. Also,
       selective units lie together: the Moran's I of their mask is larger than at shuffled places.
    2. *Response profile*: the network responds more to sentences (S) than to word lists (W), more to S than to
       Jabberwocky (J), more to W than to non-word lists (N), and more to J than to N, as the human language network
       does. Each of the four is tested by a one-sided Welch test over texts.
    3. *Consistent*: the profiles of the clusters are similar, more similar than with shuffled conditions.

    Args:
        localized: The table of `cross_validated`.
        clustering: The table of `selective_unit_clustering`.
        responses: Responses to texts of the conditions S, W, J and N.
        clusters: Clusters from `grow_clusters`.
        permutations: Number of draws of the label-null of the third criterion.
        seed: Seed of the draws.

    Returns:
        A row for each test, with the columns `criterion, measure, value, null_mean, null_sd, z, p, holds`. The null of
        the mask's Moran's I is the place-null. The null of consistency is the label-null. The other tests have no null.
        `holds` is True if p <= 0.05 and the value is positive.

    Raises:
        UserError: A condition is missing, or the clusters and the responses have different units.
    """
    conditions = set(responses["condition"].values.tolist())
    if missing := [name for name in CONDITIONS if name not in conditions]:
        raise UserError(
            f"the responses have no condition {', '.join(missing)}; they have: "
            f"{listed(map(str, sorted(conditions)))}. The criteria need sentences (S), "
            "word lists (W), Jabberwocky (J) and non-word lists (N)"
        )
    rows: list[dict[str, object]] = []

    def add(criterion: str, measure: str, value: float, p: float, **null: float) -> None:
        holds = bool(p <= SIGNIFICANT and value > 0)
        rows.append({"criterion": criterion, "measure": measure, "value": value, **null, "p": p, "holds": holds})

    network = localized[localized["tap"] == ALL_TAPS].iloc[0]
    add("1 selective", "sentences over non-words, held-out items (d)", float(network["d"]), float(network["p"]))
    mask = clustering[clustering["statistic"] == "mask_morans_i"].to_dict("records")[0]
    add("1 selective", "Moran's I of the selective units' mask", **{name: float(mask[name]) for name in _NULLED})
    n_clusters = int(clusters.max()) if clusters.size else 0
    whole = _groups(responses, clusters)[-1].response(responses) if n_clusters else None
    for larger, smaller in BRAIN:
        measure = f"{larger} > {smaller}, mean |response| of the network (d)"
        if whole is None:
            add("2 profile", measure, np.nan, np.nan)
            continue
        x, y = (whole[responses["condition"].values == name] for name in (larger, smaller))
        pooled = np.sqrt(((len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)) / (len(x) + len(y) - 2))
        _, p = np.asarray(scipy_stats.ttest_ind(x, y, equal_var=False, alternative="greater"))
        add("2 profile", measure, float((x.mean() - y.mean()) / pooled), float(p))
    alike = consistency(responses, clusters, permutations=permutations, seed=seed)
    add("3 consistent", "mean correlation of the clusters' profiles", **{name: float(alike[name]) for name in _NULLED})
    return CRITERIA.frame(rows)


def short_measures(tests: pd.DataFrame) -> list[str]:
    """Return a short name of the measure of each test: the words before the first comma.

    Args:
        tests: Rows of the table of `criteria`.
    """
    return [measure.split(",")[0] for measure in tests["measure"]]


@dataclass(frozen=True)
class _Group:
    """A cluster, or all clusters together: the units whose responses are averaged."""

    name: str
    tap: str
    units: np.ndarray

    def response(self, responses: xr.DataArray) -> np.ndarray:
        """Return the mean absolute response of the units to each text."""
        return np.abs(responses.transpose("stimulus", "unit").values[:, self.units]).mean(axis=1, dtype=np.float64)


def _groups(responses: xr.DataArray, clusters: xr.DataArray) -> list[_Group]:
    """Return each cluster and, last, all clusters together. Without clusters, the list is empty."""
    check_coordinates(clusters, "tap")
    check_coordinates(responses, "tap", "condition")
    if not clusters["tap"].equals(responses["tap"]):
        raise UserError("the clusters and the responses have different units: compute both with the same model")
    check_finite(responses)
    numbers, taps = clusters.values, clusters["tap"].values
    groups = [
        _Group(str(n), str(taps[numbers == n][0]), np.flatnonzero(numbers == n)) for n in range(1, numbers.max() + 1)
    ]
    return [*groups, _Group(NETWORK, ALL_TAPS, np.flatnonzero(numbers))] if groups else []
