"""Response profiles of clusters over conditions: intervals, tests, and how similar the clusters are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped
from scipy import special

from toposheet.cortex.cluster_responses import NETWORK, SIGNED, ClusterResponses, cluster_responses
from toposheet.cortex.design import Design, contrast_design, linked_pairs
from toposheet.errors import UserError
from toposheet.progress import Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed
from toposheet.stats import against_null, t_test
from toposheet.stats.stratified import stratified_t_test
from toposheet.stimuli.confounds import N_TOKENS
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.dependence import dependent_stimuli
from toposheet.stimuli.measures import SHARED_WORDS

MATCHED = (("S", "W"), ("J", "N"))  # the comparisons that are also made with texts of equal numbers of tokens
_NULLED = ("value", "null_mean", "null_sd", "z", "p")
PROFILES = Table(
    "profiles.csv",
    {"measure": "text", "cluster": "text", "tap": "text", "n_units": "count", "condition": "text", "n_texts": "count",
     "n_items": "count", "response": "number", "sd": "number", "low": "number", "high": "number"},
    "the response of a cluster, or of the whole network, to one condition, by one measure",
)  # fmt: skip
PROFILE_TESTS = Table(
    "profile_tests.csv",
    {"measure": "text", "larger": "text", "smaller": "text", "matched": "flag", "n_larger": "count",
     "n_smaller": "count", "d": "number", "t": "number", "p": "number"},
    "a test of whether the whole network responds more to one condition than to another, by one measure",
)  # fmt: skip
CONSISTENCY = Table(
    "consistency.csv",
    {"measure": "text", "n_clusters": "count", **dict.fromkeys(_NULLED, "number")},
    "how similar the response profiles of clusters are, by one measure",
)


def profiles(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the response of each cluster, and of the whole network, to each condition, by two measures.

    `absolute` is the mean absolute activation of the units. `signed` is the mean of their standardised activations
    (`cluster_responses` has both formulas). Texts of one group are not independent, so the mean of a group counts as
    one value.

    Args:
        responses: Responses from `respond`, to other texts than those that made the clusters.
        clusters: The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster
            (`grow_clusters`).
        groups: Name of a column of the stimuli. Texts of one condition with equal values form a group. All texts are
            independent if `groups` is None, or if it is `shared_words` and the stimuli have no such column.
        progress: A function that is called with the number of clusters done so far. None: no calls.

    Returns:
        A row for each measure, group of units and condition. `cluster` is the number of the cluster, or `network` for
        the units of all clusters together; `tap` is `*` for the network. The other columns are `measure, n_units`
        (number of averaged units), `condition, n_texts, n_items` (number of texts or groups), `response` (mean over
        items), `sd` (standard deviation over items) and `low, high`: the 95 % interval of the response. For absolute
        responses it is Student's interval of a mean over items. The 0 of a signed response is the mean of all texts,
        which varies with the texts of every condition, and this is in its interval: Student's, with the degrees of
        freedom of Welch and Satterthwaite. It does not count that the standard deviations of the units are estimates.
        It is nan if a condition that counts has one item.
    """
    return profiles_of(cluster_responses(responses, clusters, progress), groups=groups)


def profiles_of(measured: ClusterResponses, *, groups: str | None = SHARED_WORDS) -> pd.DataFrame:
    """Return the response of each cluster to each condition: the table of `profiles`.

    Args:
        measured: The responses of the clusters, from `cluster_responses`.
        groups: Name of the column of the groups, see `profiles`.
    """
    conditions = measured.stimuli["condition"].to_numpy()
    rows = []
    for measure, values in measured.values.items():
        items = _Items.of(values, measured.stimuli, groups)
        intervals = {
            name: items.interval(name, to_mean=measure == SIGNED) for name in dict.fromkeys(conditions.tolist())
        }
        for number, (name, tap) in enumerate(zip(measured.names, measured.taps, strict=True)):
            for condition in dict.fromkeys(conditions.tolist()):
                of_condition = items.values[items.conditions == condition, number]
                n = len(of_condition)
                low, high = (end[number] for end in intervals[condition])
                rows.append(
                    {
                        "measure": measure,
                        "cluster": name,
                        "tap": tap,
                        "n_units": measured.n_units[measure][number],
                        "condition": condition,
                        "n_texts": int((conditions == condition).sum()),
                        "n_items": n,
                        "response": of_condition.mean(),
                        "sd": of_condition.std(ddof=1) if n > 1 else np.nan,
                        "low": float(low),
                        "high": float(high),
                    }
                )
    return PROFILES.frame(rows)


def profile_tests(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = None,
) -> pd.DataFrame:
    """Return tests of the profile of the whole network: does it respond more to one condition than to another?

    Each test is one-sided: Welch's test of the responses (see `profiles` for the two measures), over texts or over
    means of groups; with pairs, the t test of the differences within pairs. S against W, and J against N, are also
    tested within texts of equal numbers of tokens (`stratified_t_test`); with pairs, in the pairs whose two texts have
    equally many tokens.

    Args:
        responses: Responses from `respond`. The coordinate `n_tokens` has the number of tokens of each text.
        clusters: Clusters from `grow_clusters`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of a column of the stimuli. If two conditions share values of this column, texts with equal values
            are partners (`Comparison`). Other conditions have no pairs. None: there are no pairs.

    Returns:
        A row for each measure, ordered pair of conditions and matching, with the columns `measure, larger, smaller,
        matched, n_larger, n_smaller` (numbers of texts), `d` (Cohen's d), `t, p`. A matched row has the texts whose
        number of tokens both conditions have, and its d is over texts within equal numbers of tokens, also with groups.
        d, t and p of matched texts are nan if fewer than 3 items of a condition are left; n is then what is left, and 0
        without the coordinate `n_tokens`. Without clusters the table has no rows.

    Raises:
        UserError: `Comparison` would refuse the groups or the pairs, or a condition has fewer than 3 items.
    """
    return profile_tests_of(cluster_responses(responses, clusters), groups=groups, pairs=pairs)


def profile_tests_of(
    measured: ClusterResponses, *, groups: str | None = SHARED_WORDS, pairs: str | None = None
) -> pd.DataFrame:
    """Return tests of the profile of the whole network: the table of `profile_tests`.

    Args:
        measured: The responses of the clusters, from `cluster_responses`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of the column of the pairs, see `profile_tests`.

    Raises:
        UserError: See `profile_tests`.
    """
    stimuli, rows = measured.stimuli, []
    if not measured.names:
        return PROFILE_TESTS.frame(rows)
    for a, b in combinations(dict.fromkeys(stimuli["condition"].tolist()), 2):
        contrast = Contrast(str(a), str(b))
        compared = contrast.compared(stimuli)
        paired_by = pairs if _has_pairs(compared, contrast, pairs) else None
        design = contrast_design(compared, contrast, groups, paired_by)
        kept = {False: np.ones(len(compared), dtype=bool)}
        if (contrast.a, contrast.b) in MATCHED or (contrast.b, contrast.a) in MATCHED:
            kept[True] = _matched_in_tokens(compared, paired_by)
        for measure, values in measured.values.items():
            for matched, mask in kept.items():
                of_texts, strata = values[compared.index[mask], -1:], None
                if matched and paired_by is None and mask.any():
                    strata = compared.loc[mask, N_TOKENS].to_numpy()
                tests = _both_tests(design.part(mask), contrast, of_texts, strata)
                rows += [{"measure": measure, "matched": matched, **row} for row in tests]
    return PROFILE_TESTS.frame(rows)


def _both_tests(
    design: Design,
    contrast: Contrast,
    values: Float[np.ndarray, "texts 1"],
    strata: Shaped[np.ndarray, " texts"] | None,
) -> list[dict[str, Any]]:
    """Return the one-sided tests of A over B and of B over A. They are nan with fewer than 3 items of a condition.

    Args:
        design: The design of the contrast.
        contrast: The contrast.
        values: The response to each text.
        strata: The stratum of each text. None: the texts are not compared within strata.
    """
    d = t = df = np.nan
    if min(design.number_of_items(contrast).values()) >= MIN_TEXTS:
        if strata is None:
            test = t_test(design.values(values), design.samples)
        else:
            test = stratified_t_test(values, design.in_a, strata, design.item)
        d, t, df = test.d[0], test.t[0], test.df[0]
    (a, n_a), (b, n_b) = (contrast.a, int(design.in_a.sum())), (contrast.b, int(design.in_b.sum()))
    return [
        {"larger": a, "smaller": b, "n_larger": n_a, "n_smaller": n_b, "d": d, "t": t, "p": special.stdtr(df, -t)},
        {"larger": b, "smaller": a, "n_larger": n_b, "n_smaller": n_a, "d": -d, "t": -t, "p": special.stdtr(df, t)},
    ]


def _matched_in_tokens(stimuli: pd.DataFrame, pairs: str | None) -> Bool[np.ndarray, " texts"]:
    """Return a mask of the texts whose number of tokens both conditions have; with pairs, both texts of the pair.

    Args:
        stimuli: The texts of both conditions.
        pairs: Name of the column of the pairs. None: there are no pairs.
    """
    if N_TOKENS not in stimuli:
        return np.zeros(len(stimuli), dtype=bool)
    partners = dependent_stimuli(stimuli, pairs)
    if partners is not None:
        return stimuli.groupby(partners)[N_TOKENS].transform("nunique").to_numpy() == 1
    return stimuli.groupby(N_TOKENS)["condition"].transform("nunique").to_numpy() == 2


def _has_pairs(stimuli: pd.DataFrame, contrast: Contrast, pairs: str | None) -> bool:
    """Return whether the two conditions share values of the column of the pairs."""
    numbers, (in_a, in_b) = dependent_stimuli(stimuli, pairs), contrast.masks(stimuli)
    return numbers is not None and len(np.intersect1d(numbers[in_a], numbers[in_b])) > 0


def consistency(
    responses: xr.DataArray,
    clusters: xr.DataArray,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how similar the response profiles of clusters are: the mean Pearson correlation over pairs of clusters.

    A profile is the response of a cluster to each condition, by one of the two measures (`profiles`). Clusters of one
    network share much of their activity, so their profiles are similar even for arbitrary conditions. The null shows
    how similar they then are. Its draws have no effect of the conditions, and each condition keeps its noise: the
    deviations of the items from the mean of their condition are multiplied by random numbers, times sqrt(n / (n - 1)).
    The numbers are normal, divided by a random estimate of the spread of the condition, as in Student's t. All texts of
    a pair get the same normal number. Shuffled conditions would mix the noise: if one condition varies three times as
    much, they gave p <= 0.05 in 13 % of simulated data sets without effect, and these draws in 5 to 6 %.

    Args:
        responses: Responses from `respond`.
        clusters: Clusters from `grow_clusters`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of the column of the pairs, see `profile_tests`.
        permutations: Number of draws of the null.
        seed: Seed of the draws.

    Returns:
        A row for each measure, with the columns `measure, n_clusters, value, null_mean, null_sd, z, p`. Silent clusters
        have no profile and do not count. From `value` on, the columns are nan if there are fewer than 2 clusters or
        fewer than 2 conditions.

    Raises:
        UserError: A condition has fewer than 3 texts or groups.
    """
    measured = cluster_responses(responses, clusters)
    return consistency_of(measured, groups=groups, pairs=pairs, permutations=permutations, seed=seed)


def consistency_of(
    measured: ClusterResponses,
    *,
    groups: str | None = SHARED_WORDS,
    pairs: str | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how similar the response profiles of clusters are: the table of `consistency`.

    Args:
        measured: The responses of the clusters, from `cluster_responses`.
        groups: Name of the column of the groups, see `profiles`.
        pairs: Name of the column of the pairs, see `profile_tests`.
        permutations: Number of draws of the null.
        seed: Seed of the draws.

    Raises:
        UserError: See `consistency`.
    """
    check_permutations(permutations)
    check_seed(seed)
    n_clusters = sum(name != NETWORK for name in measured.names)
    of_clusters = {measure: values[:, :n_clusters] for measure, values in measured.values.items()}
    # A silent cluster has no profile.
    varies = {measure: np.ptp(values, axis=0) > 0 for measure, values in of_clusters.items()}
    several = measured.stimuli["condition"].nunique() > 1 and any(of.sum() > 1 for of in varies.values())
    if not several:
        return CONSISTENCY.frame([{"measure": measure, "n_clusters": int(of.sum())} for measure, of in varies.items()])
    both = np.concatenate([values[:, varies[measure]] for measure, values in of_clusters.items()], axis=1)
    numbers = [int(of.sum()) for of in varies.values()]
    items, rng = _Items.of(both, measured.stimuli, groups, pairs), np.random.default_rng(seed)
    draws = np.array([_mean_correlations(items.null(rng), numbers) for _ in range(permutations)])
    rows = []
    for measure, n, value, null in zip(varies, numbers, _mean_correlations(items, numbers), draws.T, strict=True):
        columns = {name: float(column) for name, column in against_null(value, null).columns().items()}
        rows.append({"measure": measure, "n_clusters": n, "value": value, **columns})
    return CONSISTENCY.frame(rows)


def _mean_correlations(items: _Items, numbers: Sequence[int]) -> list[float]:
    """Return the mean correlation between the profiles of two clusters, by each measure; nan for a single cluster.

    Args:
        items: The items. Their values are those of all clusters by the first measure, then by the next one.
        numbers: The number of clusters by each measure.
    """
    names = dict.fromkeys(items.conditions.tolist())
    means = np.stack([items.values[items.conditions == name].mean(axis=0) for name in names], axis=1)
    result = []
    for of_measure in np.split(means, np.cumsum(numbers)[:-1]):
        with np.errstate(divide="ignore", invalid="ignore"):  # a profile without variance has no correlation: nan
            r = np.corrcoef(of_measure) if len(of_measure) > 1 else np.empty((0, 0))
        pairs = r[np.triu_indices(len(r), 1)]
        result.append(float(pairs.mean()) if len(pairs) else np.nan)
    return result


@dataclass(frozen=True, eq=False)
class _Items:
    """The independent values of each cluster: those of texts, or means over the texts of a group in one condition.

    Args:
        values: The value of each item in each cluster.
        conditions: The condition of each item.
        n_texts: Number of texts of each item.
        blocks: A number for each item. Items of one pair have the same number. None: there are no pairs.
    """

    values: Float[np.ndarray, "items clusters"]
    conditions: Shaped[np.ndarray, " items"]
    n_texts: Int[np.ndarray, " items"]
    blocks: Int[np.ndarray, " items"] | None = None

    @classmethod
    def of(
        cls,
        responses: Float[np.ndarray, "texts clusters"],
        stimuli: pd.DataFrame,
        groups: str | None,
        pairs: str | None = None,
    ) -> _Items:
        """Return the items of texts.

        Args:
            responses: The response of each cluster to each text.
            stimuli: The columns of the texts.
            groups: Name of the column of the groups.
            pairs: Name of the column of the pairs.
        """
        conditions, numbers = stimuli["condition"].to_numpy(), dependent_stimuli(stimuli, groups)
        partners = dependent_stimuli(stimuli, pairs)
        if partners is not None and not pd.Series(conditions).groupby(partners).nunique().gt(1).any():
            partners = None
        if numbers is None:
            return cls(responses, conditions, np.ones(len(conditions), dtype=int), partners)
        means = pd.DataFrame(responses).groupby([conditions, numbers], sort=False)
        first = means.head(1).index.to_numpy()
        blocks = linked_pairs(partners, numbers)
        sizes = means.size().to_numpy()
        return cls(means.mean().to_numpy(), conditions[first], sizes, None if blocks is None else blocks[first])

    def interval(
        self, condition: str, *, to_mean: bool
    ) -> tuple[Float[np.ndarray, " clusters"], Float[np.ndarray, " clusters"]]:
        """Return the ends of the 95 % interval of the mean of a condition, for each cluster. See `profiles`.

        Args:
            condition: The condition.
            to_mean: Whether the mean is relative to the mean of all texts, which then varies too.
        """
        variances, dfs = [], []
        for name in dict.fromkeys(self.conditions.tolist()):
            mine = self.conditions == name
            n = int(mine.sum())
            weights = np.full(n, float(name == condition) / n)
            if to_mean:
                weights -= self.n_texts[mine] / self.n_texts.sum()
            if not weights.any():
                continue
            if n == 1:
                none = np.full(self.values.shape[1], np.nan)
                return none, none
            deviations = self.values[mine] - self.values[mine].mean(axis=0)
            variances.append(n / (n - 1) * ((weights[:, None] * deviations) ** 2).sum(axis=0))
            dfs.append(n - 1)
        variance = np.sum(variances, axis=0)
        parts = np.sum([part**2 / df for part, df in zip(variances, dfs, strict=True)], axis=0)
        df = np.divide(variance**2, parts, out=np.ones_like(variance), where=parts > 0)
        mean, half = (
            self.values[self.conditions == condition].mean(axis=0),
            special.stdtrit(df, 0.975) * np.sqrt(variance),
        )
        return mean - half, mean + half

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
        blocks = np.arange(len(self.values)) if self.blocks is None else self.blocks
        means = np.stack([self.values[item_condition == number].mean(axis=0) for number in range(len(names))])
        deviations = (self.values - means[item_condition]) * np.sqrt(sizes / (sizes - 1))[item_condition, None]
        # Normal numbers, because sums of few random signs have lighter tails than means of texts; and as in Student's t
        # the noise of each condition has the error of its estimate. Pairs cancel only if their texts keep one number.
        multipliers = rng.normal(size=int(blocks.max()) + 1)[blocks]
        if self.blocks is None:
            multipliers /= np.sqrt(rng.chisquare(sizes - 1) / (sizes - 1))[item_condition]
        return replace(self, values=multipliers[:, None] * deviations)
