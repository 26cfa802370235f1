import numpy as np
import pytest
from scipy import stats

from toposheet.stats import chance_p, interval_of_mean, paired_interval, paired_p, wilson_interval


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 7), (7, 7), (640, 1000)])
def test_the_interval_of_a_share_is_wilsons(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_share_of_nothing_is_undefined():
    assert np.isnan(wilson_interval(0.5, 0)).all()


def test_the_mean_of_one_value_has_the_interval_of_the_value():
    assert interval_of_mean(np.array([0.7]), [(0.5, 0.8)]) == pytest.approx((0.5, 0.8))


def test_the_interval_of_a_mean_of_equal_parts_is_narrower_by_the_root_of_their_number():
    low, high = interval_of_mean(np.full(16, 0.7), [(0.5, 0.8)] * 16)
    assert (0.7 - low, high - 0.7) == pytest.approx((0.2 / 4, 0.1 / 4))


@pytest.mark.parametrize("n", [20, 200])
def test_intervals_of_means_over_parts_cover_the_truth_in_95_percent(rng, n):
    truth = np.array([0.1, 0.5, 0.7, 0.97])
    covered = 0
    for _ in range(2000):
        shares = rng.binomial(n, truth) / n
        low, high = interval_of_mean(shares, [wilson_interval(share, n) for share in shares])
        covered += low <= truth.mean() <= high
    assert 0.935 <= covered / 2000 <= 0.975


@pytest.mark.parametrize(("n", "most"), [(20, 0.995), (200, 0.97)])
def test_intervals_of_paired_differences_cover_the_truth_in_95_percent_or_more(rng, n, most):
    covered = 0
    for _ in range(2000):
        first = rng.random(n) < 0.7
        second = np.where(rng.random(n) < 0.8, first, rng.random(n) < 0.5)
        low, high = paired_interval(first.astype(float) - second)
        covered += low <= 0.7 - (0.8 * 0.7 + 0.2 * 0.5) <= high
    assert 0.935 <= covered / 2000 <= most


def test_a_paired_difference_without_differences_still_has_an_interval():
    low, high = paired_interval(np.zeros(20))
    assert -0.2 < low < 0 < high < 0.2
    assert paired_interval(np.ones(2)) == (pytest.approx(0, abs=0.7), 1.0)


def test_p_against_chance_is_that_of_a_binomial_test_and_halves_count_towards_chance():
    values = np.array([1.0] * 14 + [0.0] * 6)
    half = np.full(20, 0.5)
    assert chance_p(values, half) == pytest.approx(stats.binomtest(14, 20).pvalue)
    values[0] = 0.5
    assert chance_p(values, half) == pytest.approx(stats.binomtest(13, 20).pvalue)
    assert chance_p(1 - values, half) == pytest.approx(stats.binomtest(7, 20).pvalue)


def test_p_against_unequal_chances_is_rarely_small_where_items_are_right_by_chance(rng):
    chance = np.repeat([0.1, 0.25, 0.5], 40)
    p = [chance_p((rng.random(120) < chance).astype(float), chance) for _ in range(1000)]
    assert np.mean(np.array(p) <= 0.05) <= 0.06


def test_the_paired_p_is_that_of_all_sign_flips(rng):
    parts = [np.array([1.0, 1.0, 0.0, -1.0, 0.5]), np.array([1.0, 0.5, 1.0])]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
    means = (signs[:, :5] * parts[0]).mean(axis=1) + (signs[:, 5:] * parts[1]).mean(axis=1)
    observed = parts[0].mean() + parts[1].mean()
    exact = np.mean(np.abs(means) >= observed - 1e-9)
    assert paired_p(parts, 100_000, rng) == pytest.approx(exact, abs=0.005)


def test_the_paired_p_is_rarely_small_where_there_is_no_difference(rng):
    p = [paired_p([rng.integers(-1, 2, 60).astype(float) for _ in range(3)], 199, rng) for _ in range(1000)]
    assert np.mean(np.array(p) <= 0.05) <= 0.065
