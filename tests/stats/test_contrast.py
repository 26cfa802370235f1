import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toposheet.stats import centred, q_values, residuals, small_q_values, t_test


def two_groups(rng, n_a=9, n_b=14, units=6):
    x = rng.normal(size=(n_a + n_b + 3, units)) * rng.uniform(0.5, 5, size=units) + 100
    in_a = np.arange(len(x)) < n_a
    in_b = (np.arange(len(x)) >= n_a) & (np.arange(len(x)) < n_a + n_b)
    x[in_a] += rng.normal(size=units)
    return x, in_a, in_b


def welch_t(x, in_a, in_b):
    return t_test(centred(x), [in_a, in_b])


def test_t_and_p_equal_scipy(rng):
    x, in_a, in_b = two_groups(rng)
    t, p = np.asarray(stats.ttest_ind(x[in_a], x[in_b], equal_var=False))
    result = welch_t(x, in_a, in_b)
    np.testing.assert_allclose(result.t, t, rtol=1e-10)
    np.testing.assert_allclose(result.p, p, rtol=1e-10)


def test_d_is_the_difference_over_the_pooled_standard_deviation(rng):
    x, in_a, in_b = two_groups(rng)
    a, b = x[in_a], x[in_b]
    pooled = np.sqrt((8 * a.var(axis=0, ddof=1) + 13 * b.var(axis=0, ddof=1)) / 21)
    np.testing.assert_allclose(welch_t(x, in_a, in_b).d, (a.mean(0) - b.mean(0)) / pooled, rtol=1e-10)


def test_many_labellings_at_once_equal_one_after_another(rng):
    x, in_a, in_b = two_groups(rng)
    a, b = np.stack([in_a, in_b]), np.stack([in_b, in_a])
    both = welch_t(x, a, b)
    np.testing.assert_allclose(both.t[0], welch_t(x, in_a, in_b).t)
    np.testing.assert_allclose(both.t[1], -both.t[0])


def test_float32_responses_far_from_zero_keep_their_precision(rng):
    x, in_a, in_b = two_groups(rng)
    x = (x + 5000).astype(np.float32)
    t, _ = np.asarray(stats.ttest_ind(x[in_a].astype(float), x[in_b].astype(float), equal_var=False))
    np.testing.assert_allclose(welch_t(x, in_a, in_b).t, t, rtol=1e-8)


def test_a_silent_unit_is_nan_and_is_not_tested(rng):
    x, in_a, in_b = two_groups(rng)
    x[:, 2] = 0.1
    result = welch_t(x, in_a, in_b)
    assert np.isnan(result.t[2])
    q = q_values(result.p)
    np.testing.assert_allclose(q[[0, 1, 3, 4, 5]], q_values(result.p[[0, 1, 3, 4, 5]]))
    assert np.isnan(q[2])


def test_groups_that_do_not_vary_but_differ_are_significant():
    x = np.array([[1.0], [1.0], [1.0], [2.0], [2.0], [2.0]])
    in_a = np.arange(6) < 3
    result = welch_t(x, in_a, ~in_a)
    assert result.t == -np.inf
    assert result.p == 0


def test_a_sample_of_one_item_is_refused(rng):
    with pytest.raises(ValueError, match="each needs at least 2 items"):
        welch_t(rng.normal(size=(4, 2)), np.array([1, 0, 0, 0], bool), np.array([0, 1, 1, 1], bool))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_is_the_least_rate_at_which_benjamini_and_hochberg_reject(p):
    p = np.array(p)
    ordered = np.sort(p)
    slow = [min(1.0, min(ordered[k] * len(p) / (k + 1) for k in range(len(p)) if ordered[k] >= value)) for value in p]
    np.testing.assert_allclose(q_values(p), slow, rtol=1e-12, atol=1e-300)


def test_q_equals_statsmodels(rng):
    from statsmodels.stats.multitest import multipletests

    p = rng.random(500) ** 3
    np.testing.assert_allclose(q_values(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_residuals_equal_statsmodels_and_keep_the_mean(rng):
    import statsmodels.api as sm

    confounds = rng.normal(size=(30, 2)) + 4
    x = rng.normal(size=(30, 3)) + confounds @ rng.normal(size=(2, 3))
    left = residuals(x, confounds)
    for unit in range(3):
        expected = sm.OLS(x[:, unit], sm.add_constant(confounds)).fit().resid
        np.testing.assert_allclose(left[:, unit] - x[:, unit].mean(), expected, atol=1e-10)
    np.testing.assert_allclose(left.mean(axis=0), x.mean(axis=0))


def test_a_difference_that_a_confound_explains_is_gone(rng):
    length = np.repeat([4.0, 9.0], 20) + rng.normal(size=40)
    x = (2 * length + rng.normal(size=40))[:, None]
    in_a = np.arange(40) < 20
    assert abs(welch_t(x, in_a, ~in_a).t) > 10
    assert abs(welch_t(residuals(x, length[:, None]), in_a, ~in_a).t) < 3


def test_one_sample_equals_scipy(rng):
    x = rng.normal(size=(12, 5)) + rng.normal(size=5)
    result = t_test(x, [np.ones(12, bool)])
    t, p = np.asarray(stats.ttest_1samp(x, 0.0))
    np.testing.assert_allclose(result.t, t, rtol=1e-10)
    np.testing.assert_allclose(result.p, p, rtol=1e-10)
    np.testing.assert_allclose(result.d, x.mean(axis=0) / x.std(axis=0, ddof=1), rtol=1e-10)


def test_a_weight_of_minus_one_turns_the_sign_of_a_value(rng):
    x, in_a, in_b = two_groups(rng)
    x = centred(x)
    signs = rng.choice([-1, 1], size=(3, len(x)))
    drawn = t_test(x, [signs * in_a, signs * in_b])
    for draw in range(3):
        flipped = x * signs[draw][:, None]
        expected = stats.ttest_ind(flipped[in_a], flipped[in_b], equal_var=False).statistic
        np.testing.assert_allclose(drawn.t[draw], expected, rtol=1e-8)
    alone = t_test(x, [signs])
    np.testing.assert_allclose(alone.t[1], stats.ttest_1samp(x * signs[1][:, None], 0.0).statistic, rtol=1e-8)


@pytest.mark.parametrize("effect", [0.0, 1.0, 3.0])
def test_small_q_values_are_those_of_all_p_values_below_the_bound(effect):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(14, 400)) * rng.uniform(0.1, 3, size=400)
    x[:, ::7] = 2.0  # silent units
    x[:5, 1:120] += effect
    x[:5, 3], x[5:, 3] = 1.0, 0.0  # p is 0
    in_a = np.stack([np.arange(14) < 5, *(rng.permutation(np.arange(14) < 5) for _ in range(9))])
    test = t_test(x, [in_a, ~in_a])
    for bound in (0.05, 0.3):
        exact, small = q_values(test.p), small_q_values(test, bound)
        below = exact < bound
        assert below.any()
        np.testing.assert_allclose(small[below], exact[below], rtol=1e-12)
        assert (small[~below & ~np.isnan(exact)] == 1).all()
        assert (np.isnan(small) == np.isnan(exact)).all()
