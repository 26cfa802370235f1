"""Nulls are honest: where there is nothing, p is uniform."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import toposheet as ts
from toposheet.cortex.maps import replaced
from toposheet.cortex.statistics import MEAN_OVER_TAPS
from toposheet.sheet import Sheet, random_places

SIDE, PERMUTATIONS = 8, 49


def noise(seed, units=SIDE**2, n=16):
    """White noise on one sheet."""
    rng = np.random.default_rng(seed)
    topo = ts.Topography({"s": Sheet((SIDE, SIDE), {"tap": random_places(units, (SIDE, SIDE), rng)})})
    coordinates = {"condition": ("stimulus", ["a", "b"] * (n // 2)), **topo.unit_coordinates()}
    return xr.DataArray(rng.normal(size=(n, units)).astype(np.float32), dims=("stimulus", "unit"), coords=coordinates)


def is_uniform(p):
    """p of so many permutations is discrete; a coin thrown for the place within a step makes it continuous."""
    coin = np.random.default_rng(0).random(len(p))
    return stats.kstest(np.asarray(p) - coin / (1 + PERMUTATIONS), "uniform").pvalue > 0.005


@pytest.mark.slow
def test_white_noise_gives_uniform_p_over_200_seeds_at_every_readout():
    fwhm = (0.0, 1.0, 2.0, 3.0, 4.0)
    tables = [ts.topography_statistics(noise(seed), "a", "b", fwhm, PERMUTATIONS, seed) for seed in range(200)]
    table = pd.concat(tables)
    groups = table[table["tap"] != MEAN_OVER_TAPS].groupby(["statistic", "fwhm_mm"])
    for statistic in ("morans_i", "cross_half_i"):
        for width in fwhm:
            for column in ("p", "label_p"):
                assert is_uniform(groups.get_group((statistic, width))[column]), (statistic, width, column)


def test_white_noise_gives_uniform_p_of_smoothness_and_wiring():
    tables = [ts.response_statistics(noise(seed), PERMUTATIONS, seed) for seed in range(200)]
    rows = [table[table["tap"] != MEAN_OVER_TAPS].set_index("statistic")["p"] for table in tables]
    assert is_uniform([row["wiring_mm"] for row in rows])
    smooth = np.array([row["smoothness_mm"] for row in rows])
    assert (smooth <= 0.05).mean() < 0.1  # half of the draws tie at 0: conservative, not uniform


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_in_a_model_without_topography_p_over_taps_is_uniform(model, stimuli, tokenizer, fwhm):
    p = []
    for seed in range(40):
        topo = ts.Topography.per_tap(model, seed=seed)
        responses = ts.respond(model, topo, stimuli, tokenizer)
        table = ts.map_statistics(responses, "long", "short", (fwhm,), PERMUTATIONS, seed)
        p += table["p"].tolist()
    assert len(p) == 160
    assert is_uniform(p)


def test_chance_makes_a_selective_cluster_as_rarely_as_p_says():
    found = []
    for seed in range(120):
        clusters, _ = ts.selective_clusters(noise(seed), "a", "b", permutations=19, seed=seed, forming_p=0.1)
        found.append((clusters["p"] <= 0.05).any())
    assert stats.binomtest(int(np.sum(found)), 120, 0.05).pvalue > 0.01


def test_a_localizer_cross_validated_finds_nothing_in_noise():
    p = [ts.cross_validated(noise(seed, n=40), "a", "b", percent=10.0)["p"].iloc[-1] for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.005


def repeated(seed, copies):
    """Smooth noise in which every text stands several times, as pairs that share words do."""
    rng = np.random.default_rng(seed)
    data = noise(seed, n=8 * copies)
    texts = np.repeat(rng.normal(size=(8, SIDE**2)), copies, axis=0)
    data.values[:] = texts + 0.3 * data.values
    labels = np.repeat(["a", "b"] * 4, copies)
    return data.assign_coords(
        condition=("stimulus", labels), shared_words=("stimulus", np.repeat(np.arange(8), copies))
    )


def test_texts_that_share_words_are_kept_together_so_that_chance_makes_no_effect_of_them():
    with_groups, without = [], []
    for seed in range(60):
        data = repeated(seed, 4)
        for found, responses in ((with_groups, data), (without, data.drop_vars("shared_words"))):
            table, _ = ts.selective_clusters(responses, "a", "b", permutations=19, seed=seed, forming_p=0.05)
            found.append((table["p"] <= 0.05).any())
    assert np.mean(without) > 0.5
    assert stats.binomtest(int(np.sum(with_groups)), 60, 0.05).pvalue > 0.01


def test_units_are_not_significant_by_the_words_that_texts_share():
    significant = {"groups": 0.0, "texts": 0.0}
    for seed in range(30):
        data = repeated(seed, 6)
        significant["groups"] += (ts.contrast(data, "a", "b")["p"] < 0.05).mean().item() / 30
        significant["texts"] += (ts.contrast(data.drop_vars("shared_words"), "a", "b")["p"] < 0.05).mean().item() / 30
    assert significant["groups"] < 0.08
    assert significant["texts"] > 0.3


def test_what_confounds_take_of_one_half_is_not_missing_in_the_other():
    rng, comes_back, p = np.random.default_rng(5), [], []
    for seed in range(40):
        data = noise(seed, n=40)
        sign = np.where(data["condition"].values == "a", 1.0, -1.0)
        data = data.assign_coords(level=("stimulus", 0.9 * sign + 0.44 * rng.normal(size=40)))
        left = ts.without_confounds(data, ["level"], "a", "b")
        table = ts.topography_statistics(left, "a", "b", (2.0,), permutations=19, seed=seed)
        row = table[(table["statistic"] == "cross_half_i") & (table["tap"] == "*")].iloc[0]
        comes_back.append(row["value"])
        p.append(row["label_p"])
    assert abs(np.mean(comes_back)) < 3 * np.std(comes_back) / np.sqrt(40)
    assert abs(np.mean(p) - 0.525) < 0.15  # the mean of (1 + b) / 20, b from 0 to 19


def test_texts_of_a_third_condition_change_nothing_though_they_share_words_with_those_compared():
    data = repeated(0, 4)
    third = data.isel(stimulus=slice(0, 16)).copy(data=100 + data.values[:16])
    third = third.assign_coords(condition=("stimulus", ["c"] * 16))
    both = ts.contrast(xr.concat([data, third], dim="stimulus"), "a", "b")
    xr.testing.assert_allclose(both, ts.contrast(data, "a", "b"))


def test_texts_without_a_group_stand_for_themselves():
    data = repeated(0, 1)
    blank = data.assign_coords(shared_words=("stimulus", [""] * 8))
    np.testing.assert_allclose(ts.contrast(blank, "a", "b")["p"], ts.contrast(data, "a", "b")["p"])


def test_every_draw_of_a_null_takes_groups_for_independent_with_and_without_readout():
    data = repeated(0, 4)
    grouped, alone = (
        ts.topography_statistics(d, "a", "b", (0.0, 2.0), permutations=19).query("statistic == 'significant_fraction'")
        for d in (data, data.drop_vars("shared_words"))
    )
    for null in ("null_mean", "label_null_mean"):
        assert (grouped[null] < 0.02).all()
    assert (alone["null_mean"] > 0.05).all()
    in_place = ts.contrast(ts.readout(data, 2.0), "a", "b")["q"].values < 0.05
    assert grouped.query("fwhm_mm == 2")["value"].iloc[0] == in_place.mean()


def test_the_place_null_of_groups_is_the_pipeline_with_the_units_moved():
    data = repeated(3, 4)
    in_a, in_b = (data["condition"].values == name for name in "ab")
    order = np.random.default_rng(0).permutation(data.sizes["unit"])
    (maps,) = replaced(data, in_a, in_b, 2.0, order[None])
    moved = data.copy(data=data.values[:, order])
    np.testing.assert_allclose(maps.q[0], ts.contrast(ts.readout(moved, 2.0), "a", "b")["q"], rtol=1e-4)
