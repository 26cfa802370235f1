"""Intervals of means: against SciPy, and how often they cover the truth."""

import numpy as np
import pytest
from scipy import stats

from toposheet.stats.intervals import difference_interval, mean_interval


def test_intervals_of_a_mean_are_those_of_scipy(rng):
    values = rng.normal(3, [1, 2, 3], size=(7, 3))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean_interval(values), expected)
    assert np.isnan(mean_interval(values[:1])).all()


def test_intervals_of_a_difference_are_those_of_scipy(rng):
    a, b = rng.normal(3, 1, size=5), rng.normal(1, 4, size=9)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose(difference_interval(a, b), expected)
    assert difference_interval(np.full(3, 2.0), np.full(2, 1.5)) == (0.5, 0.5)
    assert np.isnan(difference_interval(a, b[:1])).all()


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_cover_the_truth(rng, n):
    a, b = rng.normal(0, 1, size=(n, 4000)), rng.normal(0, 2, size=(n, 4000))
    low, high = mean_interval(a)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    ends = np.array([difference_interval(x, y) for x, y in zip(a.T, b.T, strict=True)])
    assert 0.93 <= np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) <= 0.97
