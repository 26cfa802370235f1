"""Response profiles of clusters over conditions, and TopoLM's criteria of a language network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations as permutations_of

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Shaped
from scipy import special
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.design import check_finite, contrast_design, dependent_stimuli, stimuli_of
from toposheet.cortex.layout import ALL_TAPS, check_coordinates
from toposheet.errors import UserError, check_type, listed
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations
from toposheet.stats import against_null, random_signs, t_test
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.measures import SHARED_WORDS

NETWORK, RESAMPLES, PAIR = "network", 2000, "pair"
_NULLED = ("value", "null_mean", "null_sd", "z", "p")
PROFILES = Table(
    "profiles.csv",
    {"cluster": "text", "tap": "text", "n_units": "count", "condition": "text", "n_texts": "count",
     "n_items": "count", "response": "number", "sd": "number", "low": "number", "high": "number"},
    "the response of a cluster, or of the whole network, to one condition",
)  # fmt: skip
PROFILE_TESTS = Table(
    "profile_tests.csv",
    {"larger": "text", "smaller": "text", "d": "number", "t": "number", "p": "number"},
    "a test of whether the whole network responds more to one condition than to another",
)
CRITERIA = Table(
    "criteria.csv",
    {"criterion": "text", "measure": "text", "value": "number", "null_mean": "number", "null_sd": "number",
     "z": "number", "p": "number", "by_draws": "flag", "holds": "flag"},
    "a test of one of TopoLM's three criteria",
)  # fmt: skip
CONDITIONS = ("S", "W", "J", "N")
BRAIN = (("S", "W"), ("S", "J"), ("W", "N"), ("J", "N"))  # in the human language network, the first response is larger


def profiles(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the mean absolute response of each cluster, and of the whole network, to each condition.

    The response of a group of units to a text is the mean of the absolute activations of the units, as in TopoLM
    (arXiv:2410.11516, after Fedorenko et al. 2011, doi:10.1073/pnas.1112937108). Texts of one group are not
    independent. So the mean of a group counts as one value, and the bootstrap draws groups.

    Args:
        responses: Responses from `respond`, to other texts than those that made the clusters.
        clusters: The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster
            (`grow_clusters`).
        groups: Name of a column of the stimuli. Texts of one condition with equal values form a group. All texts are
            independent if `groups` is None, or if it is `shared_words` and the stimuli have no such column.
        resamples: Number of bootstrap resamples of the texts or groups, for the confidence intervals.
        seed: Seed of the resamples.
        progress: A function that is called with the number of clusters done so far. None: no calls.

    Returns:
        A row for each group of units and each condition. `cluster` is the number of the cluster, or `network` for the
        units of all clusters together; `tap` is `*` for the network. The other columns are `n_units, condition,
        n_texts, n_items` (number of texts or groups), `response` (mean over items), `sd` (standard deviation over
        items) and `low, high`: the 95 % interval over items. It is the percentile interval of the bootstrap, expanded
        for the number of items (Hesterberg 2015, doi:10.1080/00031305.2015.1089789). Without this, the interval of 12
        groups misses the truth in 12 % of data sets instead of 5 %.
    """
    check_type("clusters", clusters, xr.DataArray, "what toposheet.grow_clusters returns")
    rng = np.random.default_rng(seed)
    rows, parts = [], _parts(responses, clusters)
    of_text = responses["condition"].values
    tell = progress or SILENT
    for number, part in enumerate(parts):
        tell("profiles of clusters, cluster", number, len(parts))
        items = _Items.of(part.response(responses)[:, None], responses, groups)
        for condition in dict.fromkeys(of_text.tolist()):
            values = items.values[items.conditions == condition, 0]
            means = rng.choice(values, (resamples, len(values))).mean(axis=1)
            low, high = _expanded_interval(means, len(values))
            rows.append(
                {
                    "cluster": part.name,
                    "tap": part.tap,
                    "n_units": len(part.units),
                    "condition": condition,
                    "n_texts": int((of_text == condition).sum()),
                    "n_items": len(values),
                    "response": values.mean(),
                    "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                    "low": low,
                    "high": high,
                }
            )
    n = max(len(parts), 1)  # without clusters the work is finished at once
    tell("profiles of clusters, cluster", n, n)
    return PROFILES.frame(rows)


def _expanded_interval(means: Float[np.ndarray, " resamples"], n_items: int) -> tuple[float, float]:
    """Return the ends of the expanded 95 % percentile interval of a mean. They are nan for a single item.

    The variance of a resample is (n - 1) / n times that of the sample, and normal tails are lighter than those of
    Student's t. The fraction of resamples beyond each end corrects both (Hesterberg 2015).

    Args:
        means: The mean of each resample.
        n_items: Number of items in the sample.
    """
    if n_items < 2:
        return np.nan, np.nan
    tail = special.ndtr(np.sqrt(n_items / (n_items - 1)) * special.stdtrit(n_items - 1, 0.025))
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def profile_tests(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = PAIR,
) -> pd.DataFrame:
    """Return tests of the profile of the whole network: does it respond more to one condition than to another?

    Each test is one-sided: Welch's test of the mean absolute responses, over texts or over means of groups; with pairs,
    the t test of the differences within pairs.

    Args:
        responses: Responses from `respond`.
        clusters: Clusters from `grow_clusters`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of a column of the stimuli. If two conditions share values of this column, texts with equal values
            are partners (`Comparison`). Other conditions have no pairs, nor has any condition without such a column.

    Returns:
        A row for each ordered pair of conditions, with the columns `larger, smaller, d` (Cohen's d), `t, p`. Without
        clusters the table has no rows.

    Raises:
        UserError: `Comparison` would refuse the groups or the pairs, or a condition has fewer than 3 items.
    """
    parts, stimuli, rows = _parts(responses, clusters), stimuli_of(responses), []
    if not parts:
        return PROFILE_TESTS.frame(rows)
    text_means = parts[-1].response(responses)[:, None]
    for larger, smaller in permutations_of(dict.fromkeys(stimuli["condition"].tolist()), 2):
        contrast = Contrast(str(larger), str(smaller))
        in_a, in_b = contrast.masks(stimuli)
        both = in_a | in_b
        compared = stimuli[both].assign(condition=np.where(in_a, contrast.a, contrast.b)[both])
        design = contrast_design(compared, contrast, groups, pairs if _has_pairs(compared, contrast, pairs) else None)
        test = t_test(design.values(text_means[both]), design.samples)
        p = special.stdtr(test.df, -test.t)
        rows.append({"larger": contrast.a, "smaller": contrast.b, "d": test.d[0], "t": test.t[0], "p": p[0]})
    return PROFILE_TESTS.frame(rows)


def _has_pairs(stimuli: pd.DataFrame, contrast: Contrast, pairs: str | None) -> bool:
    """Return whether the two conditions share values of the column of the pairs."""
    if pairs is None or (pairs == PAIR and pairs not in stimuli):
        return False
    numbers, (in_a, in_b) = dependent_stimuli(stimuli, pairs), contrast.masks(stimuli)
    return numbers is not None and len(np.intersect1d(numbers[in_a], numbers[in_b])) > 0


def consistency(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = PAIR,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.Series:
    """Return how similar the response profiles of clusters are: the mean Pearson correlation over pairs of clusters.

    A profile is the mean absolute response of a cluster to each condition. Clusters of one network share much of their
    activity, so their profiles are similar even for arbitrary conditions. The label-null shows how similar they then
    are. It shuffles the conditions of the texts (or groups) if all conditions have the same number of them. Otherwise,
    and with pairs, the deviations of the items from the mean of their condition get random signs, times sqrt(n / (n -
    1)), as in `Design.null`. All texts of a pair get the same sign.

    Args:
        responses: Responses from `respond`.
        clusters: Clusters from `grow_clusters`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of the column of the pairs, see `profile_tests`.
        permutations: Number of draws of the label-null.
        seed: Seed of the draws.

    Returns:
        `n_clusters, value, null_mean, null_sd, z, p`. All but `n_clusters` are nan if there are fewer than 2 clusters
        or fewer than 2 conditions.

    Raises:
        UserError: A condition has fewer than 3 texts or groups.
    """
    check_permutations(permutations)
    parts = [part for part in _parts(responses, clusters) if part.name != NETWORK]
    if len(parts) < 2 or len(set(responses["condition"].values.tolist())) < 2:
        return pd.Series({"n_clusters": len(parts)} | dict.fromkeys(_NULLED, np.nan))
    text_means = np.stack([part.response(responses) for part in parts], axis=1)
    items = _Items.of(text_means, responses, groups, pairs)
    rng = np.random.default_rng(seed)
    draws = [_mean_correlation(items.null(rng)) for _ in range(permutations)]
    value = _mean_correlation(items)
    columns = {name: float(column) for name, column in against_null(value, np.array(draws)).columns().items()}
    return pd.Series({"n_clusters": len(parts), "value": value} | columns)


def _mean_correlation(items: _Items) -> float:
    """Return the mean correlation between the profiles of two clusters."""
    names = dict.fromkeys(items.conditions.tolist())
    means = np.stack([items.values[items.conditions == name].mean(axis=0) for name in names], axis=1)
    r = np.corrcoef(means)
    return float(r[np.triu_indices(len(r), 1)].mean())


def criteria(
    localized: pd.DataFrame,
    ordered: pd.DataFrame,
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = PAIR,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return whether a network meets TopoLM's three criteria of a language network, with a test of each.

    1. *Selective*: units selected by one half of the texts prefer sentences to non-words in the other half. Also, this
       effect is spatially ordered (`organisation`).
    2. *Response profile*: the network responds more to sentences (S) than to word lists (W), more to S than to
       Jabberwocky (J), more to W than to non-word lists (N), and more to J than to N, as the human language network
       does. Each of the four is tested by a one-sided Welch test over texts.
    3. *Consistent*: the profiles of the clusters are similar, more similar than with shuffled conditions.

    Args:
        localized: The table of `cross_validated`.
        ordered: The table of `organisation` of the localizer's comparison, with its raw map.
        responses: Responses to texts of the conditions S, W, J and N.
        clusters: Clusters from `grow_clusters`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of the column of the pairs, see `profile_tests`.
        permutations: Number of draws of the label-null of the third criterion.
        seed: Seed of the draws.

    Returns:
        A row for each test, with the columns `criterion, measure, value, null_mean, null_sd, z, p, by_draws, holds`.
        `by_draws` is True if p comes from random draws. The null of consistency is the label-null; the table does not
        have the mean of the other nulls. `holds` is True if p <= 0.05 and the value is positive.

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

    def add(criterion: str, measure: str, value: float, p: float, by_draws: bool = False, **null: float) -> None:
        names = {"criterion": criterion, "measure": measure, "by_draws": by_draws}
        rows.append({**names, "value": value, **null, "p": p, "holds": bool(p <= SIGNIFICANT and value > 0)})

    network = localized[localized["tap"] == ALL_TAPS].iloc[0]
    add("1 selective", "sentences over non-words, held-out items (d)", float(network["d"]), float(network["p"]))
    (raw,) = ordered[(ordered["tap"] == ALL_TAPS) & (ordered["fwhm_mm"] == 0)].to_dict("records")
    add("1 selective", "spatial organisation, mean over taps", float(raw["value"]), float(raw["p"]), by_draws=True)
    tests = profile_tests(responses, clusters, groups=groups, pairs=pairs).set_index(["larger", "smaller"])
    for pair in BRAIN:
        d, p = (float(tests[name].get(pair, np.nan)) for name in ("d", "p"))
        add("2 profile", "{} > {}, mean |response| of the network (d)".format(*pair), d, p)
    alike = consistency(responses, clusters, groups=groups, pairs=pairs, permutations=permutations, seed=seed)
    correlation = {name: float(alike[name]) for name in _NULLED}
    add("3 consistent", "mean correlation of the clusters' profiles", by_draws=True, **correlation)
    return CRITERIA.frame(rows)


def short_measures(tests: pd.DataFrame) -> list[str]:
    """Return a short name of the measure of each test: the words before the first comma.

    Args:
        tests: Rows of the table of `criteria`.
    """
    return [measure.split(",")[0] for measure in tests["measure"]]


@dataclass(frozen=True, eq=False)
class _Items:
    """The independent values of each cluster: those of texts, or means over the texts of a group in one condition.

    Args:
        values: The value of each item in each cluster.
        conditions: The condition of each item.
        blocks: A number for each item. Items of one pair have the same number. None: there are no pairs.
    """

    values: Float[np.ndarray, "items clusters"]
    conditions: Shaped[np.ndarray, " items"]
    blocks: Int[np.ndarray, " items"] | None = None

    @classmethod
    def of(
        cls,
        text_means: Float[np.ndarray, "texts clusters"],
        responses: xr.DataArray,
        groups: str | None,
        pairs: str | None = None,
    ) -> _Items:
        """Return the items of texts.

        Args:
            text_means: The mean absolute response of each cluster to each text.
            responses: The responses, with the columns of the stimuli.
            groups: Name of the column of the groups.
            pairs: Name of the column of the pairs.
        """
        stimuli = stimuli_of(responses)
        conditions, numbers = stimuli["condition"].to_numpy(), dependent_stimuli(stimuli, groups)
        partners = None if pairs == PAIR and pairs not in stimuli else dependent_stimuli(stimuli, pairs)
        if partners is not None and not pd.Series(conditions).groupby(partners).nunique().gt(1).any():
            partners = None
        if numbers is None:
            return cls(text_means, conditions, partners)
        means = pd.DataFrame(text_means).groupby([conditions, numbers], sort=False)
        first = means.head(1).index.to_numpy()
        blocks = None if partners is None else _linked(partners, numbers)[first]
        return cls(means.mean().to_numpy(), conditions[first], blocks)

    def null(self, rng: np.random.Generator) -> _Items:
        """Return a draw of the null that the conditions have no effect.

        Raises:
            UserError: A condition has fewer than 3 items.
        """
        names, item_condition, sizes = np.unique(self.conditions, return_inverse=True, return_counts=True)
        if sizes.min() < MIN_TEXTS:
            raise UserError(
                f"the condition {names[sizes.argmin()]!r} has {sizes.min()} independent texts or groups: a test of "
                f"profiles needs at least {MIN_TEXTS}, so add texts that share no words with the others"
            )
        if self.blocks is None and len(set(sizes.tolist())) == 1:
            return _Items(self.values, rng.permutation(self.conditions))
        blocks = np.arange(len(self.values)) if self.blocks is None else self.blocks
        means = np.stack([self.values[item_condition == number].mean(axis=0) for number in range(len(names))])
        deviations = (self.values - means[item_condition]) * np.sqrt(sizes / (sizes - 1))[item_condition, None]
        signs = random_signs(1, int(blocks.max()) + 1, rng)[0, blocks]
        return _Items(signs[:, None] * deviations, self.conditions)


def _linked(pairs: Int[np.ndarray, " texts"], groups: Int[np.ndarray, " texts"]) -> Int[np.ndarray, " texts"]:
    """Return a number for each text. Texts that a chain of pairs and groups links get the same number."""
    n_pairs = int(pairs.max()) + 1
    n = n_pairs + int(groups.max()) + 1
    links = coo_array((np.ones(len(pairs)), (pairs, n_pairs + groups)), shape=(n, n))
    return connected_components(links, directed=False)[1][pairs]


@dataclass(frozen=True)
class _Part:
    """A cluster, or all clusters together: the units whose responses are averaged."""

    name: str
    tap: str
    units: np.ndarray

    def response(self, responses: xr.DataArray) -> np.ndarray:
        """Return the mean absolute response of the units to each text."""
        return np.abs(responses.transpose("stimulus", "unit").values[:, self.units]).mean(axis=1, dtype=np.float64)


def _parts(responses: xr.DataArray, clusters: xr.DataArray) -> list[_Part]:
    """Return each cluster and, last, all clusters together. Without clusters, the list is empty."""
    check_coordinates(clusters, "tap")
    check_coordinates(responses, "tap", "condition")
    if not clusters["tap"].equals(responses["tap"]):
        raise UserError("the clusters and the responses have different units: compute both with the same model")
    check_finite(responses)
    numbers, taps = clusters.values, clusters["tap"].values
    parts = [
        _Part(str(n), str(taps[numbers == n][0]), np.flatnonzero(numbers == n)) for n in range(1, numbers.max() + 1)
    ]
    return [*parts, _Part(NETWORK, ALL_TAPS, np.flatnonzero(numbers))] if parts else []
