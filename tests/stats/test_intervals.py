"""Intervals of means: against SciPy, and how often they cover the truth."""

import numpy as np
import pytest
from scipy import optimize, stats

from toposheet.stats.intervals import difference_interval, effect_size_interval, mean_interval, mean_of_means_interval


def test_intervals_of_a_mean_are_those_of_scipy(rng):
    values = rng.normal(3, [1, 2, 3], size=(7, 3))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean_interval(values), expected)
    assert np.isnan(mean_interval(values[:1])).all()


def test_intervals_of_a_difference_are_those_of_scipy(rng):
    a, b = rng.normal(3, 1, size=5), rng.normal(1, 4, size=9)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(difference_interval(a, b), expected)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose(difference_interval(a, b, level=0.9), expected)
    assert difference_interval(np.full(3, 2.0), np.full(2, 1.5)) == (0.5, 0.5)
    assert np.isnan(difference_interval(a, b[:1])).all()


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_cover_the_truth(rng, n):
    a, b = rng.normal(0, 1, size=(n, 4000)), rng.normal(0, 2, size=(n, 4000))
    low, high = mean_interval(a)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    ends = np.array([difference_interval(x, y) for x, y in zip(a.T, b.T, strict=True)])
    assert 0.93 <= np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) <= 0.97


@pytest.mark.parametrize("sizes", [(12,), (10, 10), (30, 90)])
def test_the_ends_of_an_effect_size_are_the_noncentral_t_that_make_it_a_quantile(sizes):
    root = np.sqrt(sizes[0] if len(sizes) == 1 else 1 / sum(1 / n for n in sizes))
    df, d = sum(sizes) - len(sizes), np.array([-2.5, -0.3, 0.0, 0.4, 1.7])
    for effect, low, high in zip(d, *effect_size_interval(d, sizes), strict=True):
        for end, quantile in ((low, 0.975), (high, 0.025)):

            def missed(nc, t=effect * root, quantile=quantile):
                return stats.nct.cdf(t, df, nc) - quantile

            expected = optimize.brentq(missed, effect * root - 7, effect * root + 7)
            assert end * root == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("sizes", "effect"), [((8,), 0.8), ((10, 10), 0.0), ((8, 24), 1.2)])
def test_intervals_of_effect_sizes_cover_the_truth(rng, sizes, effect):
    first, *others = (rng.normal(size=(n, 4000)) for n in sizes)
    first = first + effect
    variances = [(len(x) - 1) * x.var(axis=0, ddof=1) for x in (first, *others)]
    pooled = np.sqrt(sum(variances) / (sum(sizes) - len(sizes)))
    difference = first.mean(axis=0) - (others[0].mean(axis=0) if others else 0)
    low, high = effect_size_interval(difference / pooled, sizes)
    assert 0.93 <= np.mean((low <= effect) & (high >= effect)) <= 0.97


def test_effect_sizes_without_a_value_or_out_of_all_proportion_have_the_ends_that_they_can_have():
    d = np.array([np.nan, np.inf, -np.inf, 258.0, 259.0, 1e9, -1e9])
    low, high = effect_size_interval(d, (30, 30))
    assert np.isnan([low[:3], high[:3]]).all()
    for ends in (low, high):  # SciPy's noncentral t, and the chi squared of the standard deviation alone
        assert ends[4] / ends[3] == pytest.approx(259 / 258, rel=1e-4)
        assert ends[5] / ends[4] == pytest.approx(1e9 / 259, rel=1e-4)
    assert (low[6], high[6]) == (-high[5], -low[5])


def test_the_interval_of_a_mean_of_means_is_welchs_for_two_groups_and_students_for_one(rng):
    a, b = rng.normal(size=12), rng.normal(2, 3, size=7)
    expected = stats.ttest_ind(a, -b, equal_var=False).confidence_interval()  # of mean(a) + mean(b)
    assert mean_of_means_interval([a, b]) == pytest.approx((expected.low / 2, expected.high / 2))
    assert mean_of_means_interval([a]) == pytest.approx(tuple(map(float, mean_interval(a))))
    assert np.isnan(mean_of_means_interval([a, b[:1]])).all()
    assert mean_of_means_interval([np.ones(3), np.zeros(2)]) == (0.5, 0.5)


def test_the_interval_of_a_mean_of_many_small_groups_covers_the_mean(rng):
    covered = 0
    for _ in range(1000):
        low, high = mean_of_means_interval(list((rng.random((40, 2)) < 0.5).astype(float)))
        covered += low <= 0.5 <= high
    assert 0.93 < covered / 1000 < 0.975
