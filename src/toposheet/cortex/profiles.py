"""How strongly groups of units respond to each condition, and whether that looks like the human language network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats as scipy_stats

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.design import check_finite
from toposheet.cortex.layout import ALL_TAPS, check_coordinates
from toposheet.errors import UserError
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
BRAIN = (("S", "W"), ("S", "J"), ("W", "N"), ("J", "N"))  # each larger than the other in the human language network


def profiles(
    responses: xr.DataArray, clusters: xr.DataArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Return the mean absolute response of each cluster, and of the whole network, to every condition.

    As in TopoLM (arXiv:2410.11516, after Fedorenko et al. 2011, doi:10.1073/pnas.1112937108): the response of a group
    of units to a text is the mean of their absolute activations.

    Args:
        responses: From `respond`, of other stimuli than those that made the clusters.
        clusters: Over the same units, the number of each one's cluster, 0 for none (`grow_clusters`).
        resamples: Bootstrap resamples of the texts, from which intervals are taken.
        seed: Of the resamples.

    Returns:
        A row for each group and condition: `cluster` (a number, or `network`: all of them together), `tap` (`*` for
        the network), `n_units, condition, n_texts, response, sd` (over texts), `low, high` (95 % percentile
        interval over texts).
    """
    rng = np.random.default_rng(seed)
    rows, groups = [], _groups(responses, clusters)
    conditions = list(dict.fromkeys(responses["condition"].values.tolist()))
    for group in groups:
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
    return PROFILES.frame(rows)


def responds_more(profile: pd.DataFrame, larger: str, smaller: str) -> float:
    """Return the p of a group of units responding more to one condition than to another: Welch's test, one-sided.

    Args:
        profile: The rows of `profiles` of one group, which say mean, standard deviation and number of texts.
        larger: The condition that should have the larger response.
        smaller: The other.
    """
    rows = profile.set_index("condition").loc[[larger, smaller], ["response", "sd", "n_texts"]].to_numpy(dtype=float)
    _, p = np.asarray(scipy_stats.ttest_ind_from_stats(*rows.ravel(), equal_var=False, alternative="greater"))
    return float(p)


def consistency(responses: xr.DataArray, clusters: xr.DataArray, *, permutations: int = 99, seed: int = 0) -> pd.Series:
    """Return how alike the profiles of clusters are: the mean Pearson correlation over all pairs of them.

    A profile is the mean absolute response to each condition. Clusters of one network share much of their activity, so
    even arbitrary conditions give them like profiles: that is what the label-null, with the conditions of the texts
    dealt out anew, shows.

    Args:
        responses: From `respond`.
        clusters: From `grow_clusters`.
        permutations: Draws of the label-null.
        seed: Of the draws.

    Returns:
        `n_clusters, value, null_mean, null_sd, z, p`; nan with fewer than 2 clusters or conditions.
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
    """Return whether a network meets TopoLM's three criteria of a language network, each with its test.

    1. *Selective*: units chosen by one half of the items prefer sentences to non-words in the other half, and
       selective units lie together: their mask has a larger Moran's I than that of units at other places.
    2. *Response profile*: it responds more to sentences (S) than to word lists (W) and to Jabberwocky (J), and to both
       more than to non-word lists (N), as the human language network does. Each pair is a Welch test over texts,
       one-sided.
    3. *Consistent*: the clusters have like profiles, more alike than those of shuffled conditions.

    Args:
        localized: From `cross_validated`.
        clustering: From `selective_unit_clustering`.
        responses: To sentences, word lists, Jabberwocky and non-word lists.
        clusters: From `grow_clusters`.
        permutations: Draws of the label-null of the third.
        seed: Of the draws.

    Returns:
        Columns `criterion, measure, value, null_mean, null_sd, z, p, holds`. The null is the place-null of clusters and
        the label-null of consistency; `holds` is p <= 0.05 and the value positive.
    """
    conditions = set(responses["condition"].values.tolist())
    if missing := [name for name in CONDITIONS if name not in conditions]:
        raise UserError(
            f"the responses have no condition {', '.join(missing)}: the criteria are about sentences (S), word lists "
            f"(W), Jabberwocky (J) and non-word lists (N); there are: {', '.join(map(str, sorted(conditions)))}"
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


@dataclass(frozen=True)
class _Group:
    """Units whose responses are averaged."""

    name: str
    tap: str
    units: np.ndarray

    def response(self, responses: xr.DataArray) -> np.ndarray:
        """Return the mean absolute response of the group to each text."""
        return np.abs(responses.transpose("stimulus", "unit").values[:, self.units]).mean(axis=1, dtype=np.float64)


def _groups(responses: xr.DataArray, clusters: xr.DataArray) -> list[_Group]:
    """Return the clusters and, last, all of them together; nothing where there is no cluster."""
    check_coordinates(clusters, "tap")
    check_coordinates(responses, "tap", "condition")
    if not clusters["tap"].equals(responses["tap"]):
        raise UserError("the clusters are not over the units of these responses: make both with the same topography")
    check_finite(responses)
    numbers, taps = clusters.values, clusters["tap"].values
    groups = [
        _Group(str(n), str(taps[numbers == n][0]), np.flatnonzero(numbers == n)) for n in range(1, numbers.max() + 1)
    ]
    return [*groups, _Group(NETWORK, ALL_TAPS, np.flatnonzero(numbers))] if groups else []
