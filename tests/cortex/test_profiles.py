import itertools

import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import PROFILE, language_comparison, localizer, network_responses

import toposheet as ts
from toposheet.cortex import criteria, cross_validated, selective_unit_clustering
from toposheet.cortex.profiles import responds_more


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
        reference = stats.bootstrap((text_means,), np.mean, method="percentile", n_resamples=20_000, rng=rng)
        width = reference.confidence_interval.high - reference.confidence_interval.low
        assert row["low"] == pytest.approx(reference.confidence_interval.low, abs=0.03 * width)
        assert row["high"] == pytest.approx(reference.confidence_interval.high, abs=0.03 * width)
        assert width == pytest.approx(2 * stats.norm.ppf(0.975) * text_means.std() / np.sqrt(len(text_means)), rel=0.1)
    np.testing.assert_array_equal(table["low"] < table["response"], True)
    assert table.loc[("1", "W"), "high"] - table.loc[("1", "W"), "low"] > 3 * (
        table.loc[("1", "S"), "high"] - table.loc[("1", "S"), "low"]
    )


def test_an_interval_of_few_texts_is_that_of_all_ways_to_draw_as_many(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, list("SWJN") * 4)
    row = ts.profiles(measured, clusters, resamples=20_000).set_index(["cluster", "condition"]).loc[("1", "W")]
    text_means = np.abs(measured.values[1::4][:, clusters.values == 1]).mean(axis=1, dtype=float)
    means = [np.mean(drawn) for drawn in itertools.product(text_means, repeat=4)]
    low, high = np.quantile(means, (0.025, 0.975), method="inverted_cdf")
    assert row["low"] == pytest.approx(low)
    assert row["high"] == pytest.approx(high)


def test_profiles_depend_on_their_seed_alone(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, list("SWJN") * 10)
    first, again, other = (ts.profiles(measured, clusters, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert (first["low"] != other["low"]).all()


def test_a_profile_keeps_what_a_test_between_two_conditions_needs(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, [*"SWJN" * 20, *"N" * 60])
    table = ts.profiles(measured, clusters)
    text_means = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    conditions = measured["condition"].values
    for larger, smaller in itertools.permutations("SWJN", 2):
        x, y = text_means[conditions == larger], text_means[conditions == smaller]
        expected = stats.ttest_ind(x, y, equal_var=False, alternative="greater").pvalue
        p = responds_more(table[table["cluster"] == "network"], larger, smaller)
        assert p == pytest.approx(expected, rel=1e-6)


def test_d_of_a_profile_is_that_of_the_texts(topo):
    comparison = language_comparison(localizer(topo))
    clusters, clustering = ts.grow_clusters(comparison), selective_unit_clustering(comparison)
    measured = measured_texts(topo, list("SWJN") * 40)
    table = criteria(cross_validated(comparison), clustering, measured, clusters)
    text_means = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    s, w = text_means[0::4], text_means[1::4]
    row = table[table["measure"].str.startswith("S > W")].iloc[0]
    assert row["value"] == pytest.approx((s.mean() - w.mean()) / np.sqrt((s.var(ddof=1) + w.var(ddof=1)) / 2), rel=1e-5)
    assert row["p"] == pytest.approx(stats.ttest_ind(s, w, equal_var=False, alternative="greater").pvalue, rel=1e-4)


def test_clusters_of_other_units_are_refused(topo):
    measured = measured_texts(topo, list("SWJN") * 4)
    with pytest.raises(ValueError, match="the clusters and the responses have different units"):
        ts.profiles(measured.isel(unit=slice(10, None)), found_clusters(topo))
