"""Nulls are honest: where there is nothing, p is uniform."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from tests.cortex.planted import noise

import toposheet as ts
from toposheet.cortex import cross_validated
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.split_halves import split_halves

PERMUTATIONS = 49

LOOKS_SKEWED = pytest.mark.filterwarnings("ignore:a.b, raw. clusters get no p")  # by chance, one data set in a hundred


def white(seed, **options):
    return ts.Comparison(noise(seed, **options), "a", "b")


def is_uniform(p, permutations=PERMUTATIONS):
    """p of so many permutations is discrete; a coin thrown for the place within a step makes it continuous."""
    coin = np.random.default_rng(0).random(len(p))
    return stats.kstest(np.asarray(p) - coin / (1 + permutations), "uniform").pvalue > 0.005


@pytest.mark.slow
def test_white_noise_gives_uniform_p_over_200_seeds_at_every_readout():
    fwhm = (0.0, 1.0, 2.0, 3.0, 4.0)
    options = {"fwhm_mm": fwhm, "permutations": PERMUTATIONS}
    table = pd.concat([ts.topography_statistics(white(seed), seed=seed, **options) for seed in range(200)])
    groups = table[table["tap"] != ALL_TAPS].groupby(["statistic", "fwhm_mm"])
    for width in fwhm:
        for column in ("p", "label_p"):
            assert is_uniform(groups.get_group(("morans_i", width))[column]), (width, column)


def test_white_noise_gives_uniform_p_of_smoothness_and_wiring():
    tables = [ts.response_statistics(noise(seed), permutations=PERMUTATIONS, seed=seed) for seed in range(200)]
    rows = [table[table["tap"] != ALL_TAPS].set_index("statistic")["p"] for table in tables]
    assert is_uniform([row["wiring_mm"] for row in rows])
    smooth = np.array([row["smoothness_mm"] for row in rows])
    assert (smooth <= 0.05).mean() < 0.1  # half of the draws tie at 0: conservative, not uniform


@pytest.mark.slow
def test_in_a_model_without_topography_p_over_taps_is_uniform(model, stimuli, tokenizer):
    tables = []
    for seed in range(40):
        subject = ts.Subject(model, ts.Topography.per_tap(model, seed=seed), tokenizer)
        comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
        tables.append(ts.map_statistics(comparison, permutations=20, seed=seed))  # all labellings of 3 and 3 texts
    for fwhm, rows in pd.concat(tables).groupby("fwhm_mm"):
        assert len(rows) == 160
        assert is_uniform(rows["p"], permutations=20), fwhm


@LOOKS_SKEWED
@pytest.mark.slow
def test_chance_makes_a_selective_cluster_as_rarely_as_p_says():
    result = []
    for seed in range(120):
        clusters, _ = ts.selective_clusters(white(seed), permutations=19, seed=seed, forming_p=0.1)
        result.append((clusters["p"] <= 0.05).any())
    assert stats.binomtest(int(np.sum(result)), 120, 0.05).pvalue > 0.01


@LOOKS_SKEWED
@pytest.mark.slow
def test_chance_makes_a_selective_cluster_of_pairs_as_rarely_as_p_says_though_partners_are_alike():
    result = []
    for seed in range(120):
        data = noise(seed, pair=np.repeat(np.arange(8), 2))
        data.values[:] += 2 * np.repeat(np.random.default_rng([seed, 1]).normal(size=(8, 64)), 2, axis=0)
        comparison = ts.Comparison(data, "a", "b", pairs="pair")
        clusters, _ = ts.selective_clusters(comparison, permutations=19, seed=seed, forming_p=0.5)
        result.append((clusters["p"] <= 0.05).any())
    assert stats.binomtest(int(np.sum(result)), 120, 0.05).pvalue > 0.01


def test_a_localizer_cross_validated_finds_nothing_in_noise():
    p = [cross_validated(white(seed, n=40), percent=10.0)["p"].iloc[-1] for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.005


def repeated(seed, copies):
    """Noise in which every text stands several times, as pairs that share words do."""
    rng = np.random.default_rng(seed)
    data = noise(seed, n=8 * copies)
    texts = np.repeat(rng.normal(size=(8, 64)), copies, axis=0)
    data.values[:] = texts + 0.3 * data.values
    labels = np.repeat(["a", "b"] * 4, copies)
    words = np.repeat(np.arange(8), copies)
    return data.assign_coords(condition=("stimulus", labels), shared_words=("stimulus", words))


def with_and_without_groups(data):
    """The comparison that knows which texts share words, and the one that takes all for independent."""
    return ts.Comparison(data, "a", "b"), ts.Comparison(data, "a", "b", groups=None)


@pytest.mark.slow
@LOOKS_SKEWED
def test_texts_that_share_words_are_kept_together_so_that_chance_makes_no_effect_of_them():
    with_groups, without = [], []
    for seed in range(60):
        for result, comparison in zip((with_groups, without), with_and_without_groups(repeated(seed, 4)), strict=True):
            table, _ = ts.selective_clusters(comparison, permutations=19, seed=seed, forming_p=0.05)
            result.append((table["p"] <= 0.05).any())
    assert np.mean(without) > 0.5
    assert stats.binomtest(int(np.sum(with_groups)), 60, 0.05).pvalue > 0.01


def test_units_are_not_significant_by_the_words_that_texts_share():
    significant = {"groups": 0.0, "texts": 0.0}
    for seed in range(30):
        grouped, alone = with_and_without_groups(repeated(seed, 6))
        significant["groups"] += (grouped.p < 0.05).mean().item() / 30
        significant["texts"] += (alone.p < 0.05).mean().item() / 30
    assert significant["groups"] < 0.08
    assert significant["texts"] > 0.3


def test_what_confounds_take_of_one_half_is_not_missing_in_the_other():
    rng, comes_back = np.random.default_rng(5), []
    for seed in range(40):
        data = noise(seed, n=40)
        sign = np.where(data["condition"].values == "a", 1.0, -1.0)
        data = data.assign_coords(level=("stimulus", 0.9 * sign + 0.44 * rng.normal(size=40)))
        left = ts.Comparison(data, "a", "b", confounds=["level"])
        table = split_halves(left.readout(2.0), null=False).set_index(["statistic", "tap"])
        comes_back.append(table.loc[("cross_half_i", "*"), "value"])
    assert abs(np.mean(comes_back)) < 3 * np.std(comes_back) / np.sqrt(40)


def test_texts_of_a_third_condition_change_nothing_though_they_share_words_with_those_compared():
    data = repeated(0, 4)
    third = data.isel(stimulus=slice(0, 16)).copy(data=100 + data.values[:16])
    third = third.assign_coords(condition=("stimulus", ["c"] * 16))
    both = ts.Comparison(xr.concat([data, third], dim="stimulus"), "a", "b")
    alone = ts.Comparison(data, "a", "b")
    for name in ("t", "p", "q", "d"):
        xr.testing.assert_allclose(getattr(both, name), getattr(alone, name))


def test_texts_without_a_group_stand_for_themselves():
    data = repeated(0, 1)
    blank = data.assign_coords(shared_words=("stimulus", [""] * 8))
    np.testing.assert_allclose(ts.Comparison(blank, "a", "b").p, ts.Comparison(data, "a", "b").p)


def test_every_draw_of_a_null_takes_groups_for_independent_with_and_without_readout():
    grouped, alone = (
        ts.topography_statistics(c, permutations=19).query("statistic == 'significant_fraction'")
        for c in with_and_without_groups(repeated(0, 4))
    )
    for null in ("null_mean", "label_null_mean"):
        assert (grouped[null] < 0.02).all()
    assert (alone["null_mean"] > 0.05).all()
    in_place = ts.Comparison(repeated(0, 4), "a", "b").readout(2.0).q.values < 0.05
    assert grouped.query("fwhm_mm == 2")["value"].iloc[0] == in_place.mean()
