import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.cortex.planted import PROFILE, language_comparison, localizer, network_responses, patch

import toposheet as ts
from toposheet.cortex import consistency, criteria, cross_validated
from toposheet.cortex.profiles import profile_tests


def found_clusters(topo):
    return ts.grow_clusters(language_comparison(localizer(topo)))


def measured_texts(topo, conditions):
    return network_responses(topo, conditions, PROFILE, seed=9)


def test_profiles_are_mean_absolute_responses(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, list("SWJN") * 30)
    table = ts.profiles(measured, clusters).set_index(["cluster", "condition"])
    units = clusters.values == 1
    expected = np.abs(measured.values[1::4][:, units]).mean()
    assert table.loc[("1", "W"), "response"] == pytest.approx(expected, rel=1e-5)
    assert table.loc[("network", "W"), "n_units"] == (clusters.values > 0).sum()


def tail(n):
    """The fraction of resamples beyond each end of an expanded interval (Hesterberg 2015, section 4.1)."""
    return stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))


def test_intervals_of_profiles_are_those_of_a_bootstrap_over_the_texts_of_the_condition(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, [*"SWJN" * 20, *"N" * 60])
    rng = np.random.default_rng(3)
    spread = {"S": 0.2, "W": 2.0, "J": 1.0, "N": 0.5}  # of texts: far wider than that of units
    measured.values[:] += np.array([spread[c] * rng.exponential() for c in measured["condition"].values])[:, None]
    table = ts.profiles(measured, clusters, resamples=20_000).set_index(["cluster", "condition"])
    for (cluster, condition), row in table.iterrows():
        units = clusters.values == int(cluster) if cluster != "network" else clusters.values > 0
        text_means = np.abs(measured.values[measured["condition"] == condition][:, units]).mean(axis=1, dtype=float)
        assert row["n_texts"] == len(text_means)
        assert row["sd"] == pytest.approx(text_means.std(ddof=1))
        level = 1 - 2 * tail(len(text_means))
        reference = stats.bootstrap(
            (text_means,), np.mean, method="percentile", n_resamples=20_000, confidence_level=level, rng=rng
        )
        width = reference.confidence_interval.high - reference.confidence_interval.low
        assert row["low"] == pytest.approx(reference.confidence_interval.low, abs=0.03 * width)
        assert row["high"] == pytest.approx(reference.confidence_interval.high, abs=0.03 * width)
        t_interval = 2 * stats.t.ppf(0.975, len(text_means) - 1) * stats.sem(text_means)
        assert width == pytest.approx(t_interval, rel=0.1)
    np.testing.assert_array_equal(table["low"] < table["response"], True)
    assert table.loc[("1", "W"), "high"] - table.loc[("1", "W"), "low"] > 3 * (
        table.loc[("1", "S"), "high"] - table.loc[("1", "S"), "low"]
    )


def test_an_interval_of_few_texts_is_that_of_all_ways_to_draw_as_many(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, list("SWJN") * 4)
    row = ts.profiles(measured, clusters, resamples=20_000).set_index(["cluster", "condition"]).loc[("1", "W")]
    text_means = np.abs(measured.values[1::4][:, clusters.values == 1]).mean(axis=1, dtype=float)
    means = [np.mean(drawn) for drawn in itertools.product(text_means, repeat=4)]
    low, high = np.quantile(means, (tail(4), 1 - tail(4)), method="inverted_cdf")
    assert row["low"] == pytest.approx(low)
    assert row["high"] == pytest.approx(high)


def test_a_condition_with_one_text_has_no_interval(topo):
    table = ts.profiles(measured_texts(topo, [*"SSWJN"]), found_clusters(topo)).set_index("condition")
    assert table.loc["W", ["low", "high"]].isna().all(axis=None)
    assert table.loc["S", ["low", "high"]].notna().all(axis=None)


def test_profiles_depend_on_their_seed_alone(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, list("SWJN") * 10)
    first, again, other = (ts.profiles(measured, clusters, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert (first["low"] != other["low"]).all()


def test_tests_of_a_profile_are_those_of_scipy_over_texts(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, [*"SWJN" * 20, *"N" * 60])
    table = profile_tests(measured, clusters).set_index(["larger", "smaller"])
    text_means = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    conditions = measured["condition"].values
    assert len(table) == 12
    for larger, smaller in itertools.permutations("SWJN", 2):
        x, y = text_means[conditions == larger], text_means[conditions == smaller]
        expected = stats.ttest_ind(x, y, equal_var=False, alternative="greater")
        np.testing.assert_allclose(table.loc[(larger, smaller), ["t", "p"]], [*expected], rtol=1e-6)


def network_of(topo, seed, conditions, shared, own=0.2, **columns):
    """Texts whose two patches share the noise of the text, which is mostly that of `shared`: a number for each text."""
    rng = np.random.default_rng(seed)
    level = (
        5 + np.sqrt(1 - own) * rng.normal(size=max(shared) + 1)[shared] + np.sqrt(own) * rng.normal(size=len(shared))
    )
    data = measured_texts(topo, conditions)
    data.values[:] = level[:, None] + 0.1 * rng.normal(size=data.shape)
    return data.assign_coords({name: ("stimulus", column) for name, column in columns.items()})


def patches(topo):
    """The two planted patches as clusters."""
    clusters = found_clusters(topo)
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    return clusters.copy(data=np.where(patch(topo), np.where(first, 1, 2), 0))


def test_groups_count_as_their_means_in_profiles_and_their_tests(topo):
    clusters, groups = patches(topo), np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 6, 6, 7, 7, 7, 8])
    conditions = np.array([*"S" * 9, *"W" * 8])
    data = network_of(topo, 0, conditions, groups, shared_words=groups)
    text_means = np.abs(data.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    means = pd.Series(text_means).groupby(groups).mean().to_numpy()
    s, w = means[:4], means[4:]
    table = ts.profiles(data, clusters, resamples=20_000).set_index(["cluster", "condition"]).loc["network"]
    assert table[["n_texts", "n_items"]].to_numpy().tolist() == [[9, 4], [8, 5]]
    np.testing.assert_allclose(table["response"], [s.mean(), w.mean()])
    np.testing.assert_allclose(table["sd"], [s.std(ddof=1), w.std(ddof=1)])
    drawn = [np.mean(x) for x in itertools.product(s, repeat=4)]
    low, high = np.quantile(drawn, (tail(4), 1 - tail(4)), method="inverted_cdf")
    np.testing.assert_allclose(table.loc["S", ["low", "high"]], [low, high])
    test = profile_tests(data, clusters).set_index(["larger", "smaller"]).loc[("S", "W")]
    expected = stats.ttest_ind(s, w, equal_var=False, alternative="greater")
    np.testing.assert_allclose(test[["t", "p"]], [*expected])
    assert not ts.profiles(data, clusters, groups=None)["n_items"].equals(ts.profiles(data, clusters)["n_items"])


def test_conditions_that_share_pairs_are_compared_within_pairs_and_other_conditions_are_not(topo):
    clusters, n = patches(topo), 8
    pair = [*range(n), *range(n), *(f"own {i}" for i in range(n))]
    data = network_of(topo, 1, np.repeat(["S", "W", "N"], n), np.tile(np.arange(n), 3), pair=pair)
    s, w, other = np.abs(data.values[:, clusters.values > 0]).mean(axis=1, dtype=float).reshape(3, n)
    tests = profile_tests(data, clusters, pairs="pair").set_index(["larger", "smaller"])
    np.testing.assert_allclose(tests.loc[("W", "S"), "p"], stats.ttest_rel(w, s, alternative="greater").pvalue)
    expected = stats.ttest_ind(s, other, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(tests.loc[("S", "N"), "p"], expected)
    expected = stats.ttest_ind(w, s, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(
        profile_tests(data, clusters).set_index(["larger", "smaller"]).loc[("W", "S"), "p"], expected
    )
    incomplete = data.isel(stimulus=slice(1, None))
    with pytest.raises(ValueError, match="1 of 8 pairs of the column 'pair' are not complete"):
        profile_tests(incomplete, clusters, pairs="pair")


def rates(topo, sizes, datasets=80, **options):
    """How often tests of data without effect reject, and how often intervals hold the truth; texts come in groups."""
    clusters, rejected, held = patches(topo), [], []
    groups = np.concatenate(
        [np.repeat(np.arange(len(sizes[0])), sizes[0]), np.repeat(np.arange(len(sizes[1])), sizes[1]) + len(sizes[0])]
    )
    conditions = np.repeat(["S", "W"], [sum(sizes[0]), sum(sizes[1])])
    for seed in range(datasets):
        data = network_of(topo, seed, conditions, groups, shared_words=groups)
        rejected.append(profile_tests(data, clusters, **options)["p"].min() <= 0.025)  # one-sided, both sides
        row = ts.profiles(data, clusters, resamples=200, **options).query("cluster == 'network'").iloc[0]
        held.append(row["low"] <= 5 <= row["high"])
    return np.mean(rejected), np.mean(held)


@pytest.mark.slow
def test_tests_and_intervals_of_profiles_hold_their_level_where_texts_share_words(topo):
    sizes = ([1, 2, 5, 1, 3] * 4, [3] * 16)
    rejected, held = rates(topo, sizes)
    assert rejected <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 80)
    rejected, held = rates(topo, sizes, groups=None)
    assert rejected > 0.12
    assert held < 0.85


def correlated_clusters(topo, seed, sizes, conditions=("S", "W", "J")):
    """Groups of texts, without effect, of two clusters with independent noise."""
    rng = np.random.default_rng(seed)
    n = [len(of) for of in sizes]
    values = rng.normal(size=(sum(n), 2))
    groups = np.repeat(np.arange(sum(n)), np.concatenate(sizes))
    labels = np.repeat(conditions, [sum(of) for of in sizes])
    data = measured_texts(topo, list("S" * len(labels)))
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    data.values[:] = 9 + values[groups][:, np.where(first, 0, 1)] + 0.1 * rng.normal(size=data.shape)
    return data.assign_coords(condition=("stimulus", labels), shared_words=("stimulus", groups))


@pytest.mark.parametrize("sizes", [([1, 2, 5, 1, 3] * 2,) * 3, ([1, 2, 5, 1, 3] * 2, [3] * 7, [1] * 20)])
def test_consistency_holds_its_level_where_texts_share_words(topo, sizes):
    clusters = patches(topo)
    p = [
        consistency(correlated_clusters(topo, seed, sizes), clusters, permutations=39, seed=seed)["p"] <= 0.05
        for seed in range(60)
    ]
    assert np.mean(p) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_consistency_is_that_of_group_means(topo):
    clusters, sizes = patches(topo), ([1, 2, 5, 1, 3], [3, 1, 1, 2, 2], [1, 4, 1, 1, 1])
    data = correlated_clusters(topo, 0, sizes)
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    texts = [np.abs(data.values[:, (clusters.values > 0) & of]).mean(axis=1, dtype=float) for of in (first, ~first)]
    frame = pd.DataFrame({"group": data["shared_words"], "condition": data["condition"], "a": texts[0], "b": texts[1]})
    means = frame.groupby("group").agg({"condition": "first", "a": "mean", "b": "mean"}).groupby("condition").mean()
    assert consistency(data, clusters)["value"] == pytest.approx(stats.pearsonr(means["a"], means["b"]).statistic)


def test_the_null_of_consistency_gives_all_texts_of_a_pair_one_sign(topo):
    n, rng = 12, np.random.default_rng(0)
    texts = 9 + np.tile(rng.normal(size=(n, 2)), (3, 1)) + 0.1 * rng.normal(size=(3 * n, 2))
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    data = measured_texts(topo, list("SWJ") * n)
    data.values[:] = texts[:, np.where(first, 0, 1)]
    data = data.assign_coords(condition=("stimulus", np.repeat(list("SWJ"), n)), pair=("stimulus", [*range(n)] * 3))
    deviations = texts.reshape(3, n, 2) - texts.reshape(3, n, 2).mean(axis=1, keepdims=True)
    signs = rng.choice([-1, 1], (4000, n))
    draws = [stats.pearsonr(*means.T).statistic for means in np.einsum("kn,cnu->kcu", signs, deviations)]
    with_pairs, without = (consistency(data, patches(topo), permutations=2000, pairs=one) for one in ("pair", None))
    assert with_pairs["null_mean"] == pytest.approx(np.mean(draws), abs=0.06)
    assert with_pairs["null_sd"] == pytest.approx(np.std(draws), abs=0.04)
    assert with_pairs["value"] == without["value"]
    assert abs(without["null_mean"] - np.mean(draws)) > 0.1


def test_too_few_groups_are_refused_by_the_name_of_the_condition(topo):
    data = measured_texts(topo, list("SWJN") * 4)
    data = data.assign_coords(
        shared_words=("stimulus", [f"{c}{i % 8 // 4}" for i, c in enumerate(data["condition"].values)])
    )
    with pytest.raises(ValueError, match="condition 'S' has 2 independent groups"):
        profile_tests(data, patches(topo))
    with pytest.raises(ValueError, match="has 2 independent texts or groups"):
        consistency(data, patches(topo))


def test_d_of_a_profile_is_that_of_the_texts(topo):
    comparison = language_comparison(localizer(topo))
    clusters, ordered = ts.grow_clusters(comparison), ts.organisation(comparison, permutations=19)
    measured = measured_texts(topo, list("SWJN") * 40)
    tests, similarity = profile_tests(measured, clusters), consistency(measured, clusters, permutations=19)
    table = criteria(cross_validated(comparison), ordered, tests, similarity)
    text_means = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    s, w = text_means[0::4], text_means[1::4]
    row = table[table["measure"].str.startswith("S > W")].iloc[0]
    assert row["value"] == pytest.approx((s.mean() - w.mean()) / np.sqrt((s.var(ddof=1) + w.var(ddof=1)) / 2), rel=1e-5)
    assert row["p"] == pytest.approx(stats.ttest_ind(s, w, equal_var=False, alternative="greater").pvalue, rel=1e-4)


def test_clusters_of_other_units_are_refused(topo):
    measured = measured_texts(topo, list("SWJN") * 4)
    with pytest.raises(ValueError, match="the clusters and the responses have different units"):
        ts.profiles(measured.isel(unit=slice(10, None)), found_clusters(topo))
