import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import SIDE, noise, to_stimuli

import toposheet as ts
from toposheet.cortex.draws import label_draws, place_draws, unit_maps
from toposheet.sheet import random_places
from toposheet.stats import shuffled

MAPS = ("t", "q")


def collected(draws):
    parts = list(draws)
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in MAPS}


def one_by_one(data, orders, fwhm):
    """The place-null done slowly: the responses of each draw moved, sampled and compared anew."""
    maps = []
    for order in orders:
        moved = data.copy(data=data.values[:, order])
        maps.append(unit_maps(ts.Comparison(moved, "a", "b").readout(fwhm)))
    return {name: np.stack([getattr(m, name) for m in maps]) for name in MAPS}


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
@pytest.mark.parametrize("layout", ["full", "holes", "shared"])
def test_moved_units_are_sampled_as_if_they_had_been_there(fwhm, layout):
    rng = np.random.default_rng(1)
    if layout == "shared":
        cells = rng.permutation(np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1))[:100]
        topo = ts.Topography({"cortex": ts.Sheet((SIDE, SIDE), {"one": cells[:60], "two": cells[60:]}, spacing_mm=0.5)})
    else:
        n = SIDE**2 if layout == "full" else 90
        topo = ts.Topography({"s": ts.Sheet((SIDE, SIDE), {"one": random_places(n, (SIDE, SIDE), rng)})})
    units = sum(topo.widths.values())
    values = rng.normal(size=(25, units)) + 50 * rng.normal(size=units)
    data = to_stimuli(topo, values, ["a", "b", "a", "b", "a"] * 5)
    places, orders = np.random.default_rng(7), np.empty((4, units), dtype=int)
    for tap in sorted(set(data["tap"].values)):
        members = np.flatnonzero(data["tap"].values == tap)
        orders[:, members] = members[shuffled(len(members), 4, places)]
    drawn = collected(place_draws(ts.Comparison(data, "a", "b").readout(fwhm), 4, np.random.default_rng(7)))
    for name, slow in one_by_one(data, orders, fwhm).items():
        expected, found = (small(x) if name == "q" else x for x in (slow, drawn[name]))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


def small(q):
    """q as in draws: 1 where it is not below 0.05."""
    return np.where(q < 0.05, q, 1.0)


def grouped(seed):
    """Texts of which two each share words."""
    data = noise(seed, n=32)
    labels = np.repeat(["a", "b"] * 8, 2)
    return data.assign_coords(condition=("stimulus", labels), shared_words=("stimulus", np.repeat(np.arange(16), 2)))


def test_the_place_null_of_groups_is_the_pipeline_with_the_units_moved():
    data = grouped(3)
    comparison = ts.Comparison(data, "a", "b").readout(2.0)
    order = shuffled(64, 1, np.random.default_rng(0))[0]
    drawn = collected(place_draws(comparison, 1, np.random.default_rng(0)))
    moved = data.copy(data=data.values[:, order])
    fresh = ts.Comparison(moved, "a", "b").readout(2.0)
    np.testing.assert_allclose(drawn["t"][0], fresh.t, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(drawn["q"][0], small(fresh.q), rtol=1e-4)


def far_apart(n):
    """The pairs of n texts of each of two conditions in turn, partners not side by side."""
    return np.stack([np.arange(n), np.random.default_rng(0).permutation(n)], axis=1).ravel()


@pytest.mark.parametrize("kind", ["alone", "groups"])
@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_shuffled_labels_are_the_comparison_of_the_same_texts_with_other_labels(kind, fwhm):
    data = grouped(1) if kind == "groups" else noise(1, n=32)
    comparison = ts.Comparison(data, "a", "b")
    drawn = collected(label_draws(comparison.readout(fwhm), 60, np.random.default_rng(3)))  # more than one chunk
    in_a = comparison.design.null(comparison.items, 60, np.random.default_rng(3))[1][0]
    for draw in (0, 55):
        labels = np.where(in_a[draw], "a", "b")[comparison.design.item]
        fresh = ts.Comparison(data.assign_coords(condition=("stimulus", labels)), "a", "b").readout(fwhm)
        for name, expected in (("t", fresh.t), ("q", small(fresh.q))):
            np.testing.assert_allclose(drawn[name][draw], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_signs_of_pairs_are_the_comparison_of_the_same_texts_with_partners_exchanged(fwhm):
    data = noise(1, n=32, pair=far_apart(16))
    comparison = ts.Comparison(data, "a", "b", pairs="pair")
    drawn = collected(label_draws(comparison.readout(fwhm), 60, np.random.default_rng(3)))
    signs = comparison.design.null(comparison.items, 60, np.random.default_rng(3))[1][0]
    for draw in (0, 55):
        exchanged = signs[draw][comparison.design.item] < 0
        labels = np.where((data["condition"].values == "a") != exchanged, "a", "b")
        fresh = ts.Comparison(data.assign_coords(condition=("stimulus", labels)), "a", "b", pairs="pair").readout(fwhm)
        for name, expected in (("t", fresh.t), ("q", small(fresh.q))):
            np.testing.assert_allclose(drawn[name][draw], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_unequal_conditions_keep_their_noise_and_get_signs(fwhm):
    data = noise(1, n=32)
    labels = np.where(np.arange(32) % 4 == 0, "a", "b")
    comparison = ts.Comparison(data.assign_coords(condition=("stimulus", labels)), "a", "b").readout(fwhm)
    drawn = collected(label_draws(comparison, 60, np.random.default_rng(3)))
    signs = np.where(np.random.default_rng(3).random((60, 32)) < 0.5, -1, 1)
    x, in_a = comparison.responses.values.astype(float), labels == "a"
    for mask in (in_a, ~in_a):
        x[mask] -= x[mask].mean(axis=0)
        x[mask] *= mask.sum() / (mask.sum() - 1)
    for draw in (0, 55):
        flipped = x * signs[draw][:, None]
        expected = stats.ttest_ind(flipped[in_a], flipped[~in_a], equal_var=False)
        np.testing.assert_allclose(drawn["t"][draw], expected.statistic, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(drawn["q"][draw], small(stats.false_discovery_control(expected.pvalue)), rtol=1e-3)


def test_units_without_variance_in_either_condition_have_an_infinite_t_or_none():
    data = noise(0, n=20)
    data.values[:, :30] = np.where(data["condition"].values == "a", 0.3, 0.1)[:, None] * np.arange(1, 31)
    data.values[:, 30] = 0.7
    t = ts.Comparison(data, "a", "b").t.values
    assert (t[:30] == np.inf).all()
    assert np.isnan(t[30])
    assert np.isfinite(t[31:]).all()
