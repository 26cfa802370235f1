"""Corrections for many tests, against statsmodels and against loops."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from toposheet.stats import familywise_p, holm


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.02, 0.02, 0.02], [0.6, 0.9, 0.01], [0.3]])
def test_holm_is_that_of_statsmodels(p):
    np.testing.assert_allclose(holm(np.array(p)), multipletests(p, method="holm")[1])


def test_an_undefined_test_counts_for_holm_and_has_no_p():
    corrected = holm(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.08])


def test_the_familywise_p_of_one_test_is_its_p(rng):
    values = rng.normal(size=(50, 1))
    assert familywise_p(values) == pytest.approx([(values >= values[0]).mean()])


def test_the_scale_of_a_test_does_not_matter_for_the_familywise_p(rng):
    values = rng.normal(size=(50, 4))
    p = familywise_p(values)
    np.testing.assert_allclose(familywise_p(values * [1, 10, 0.1, 3] + [0, 5, -5, 1]), p)
    assert p.min() >= 1 / 50


def test_a_test_without_value_does_not_count_and_one_that_never_varies_is_not_extreme(rng):
    values = rng.normal(size=(50, 3))
    p = familywise_p(values)
    holes = np.column_stack([values, np.full(50, np.nan)])
    np.testing.assert_allclose(familywise_p(holes), [*p, np.nan])
    assert familywise_p(np.column_stack([values, np.full(50, 2.0)]))[3] == 1.0
    assert np.isnan(familywise_p(holes[:, 3:])).all()


def test_the_familywise_p_holds_its_level_with_few_draws(rng):
    smallest = [familywise_p(rng.normal(size=(20, 16))).min() for _ in range(2000)]
    assert np.mean(np.array(smallest) <= 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))


def test_the_familywise_p_of_each_alternative(rng):
    values = rng.normal(size=(50, 4))
    np.testing.assert_allclose(familywise_p(values, "less"), familywise_p(-values, "greater"))
    one = values[:, :1]
    far = np.abs(one - one.mean())
    assert familywise_p(one, "two-sided") == pytest.approx([(far >= far[0]).mean()])


def test_tests_that_are_alike_are_standardised_together(rng):
    values = rng.normal(size=(30, 3)) * [1, 1, 5]
    scaled = values / np.array([values[:, :2].std(), values[:, :2].std(), values[:, 2].std()])
    scaled -= np.array([scaled[:, :2].mean(), scaled[:, :2].mean(), scaled[:, 2].mean()])
    largest = scaled.max(axis=1)[1:]
    expected = [(1 + (largest >= value).sum()) / 30 for value in scaled[0]]
    np.testing.assert_allclose(familywise_p(values, alike=np.array([7, 7, 2])), expected)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_the_familywise_p_of_tests_that_are_alike_holds_its_level(rng, alternative):
    alike = np.repeat([0, 1], 8)
    smallest = [familywise_p(rng.normal(size=(20, 16)), alternative, alike).min() for _ in range(2000)]
    assert np.mean(np.array(smallest) <= 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))


def test_tests_that_are_alike_find_more_with_few_draws(rng):
    found = np.zeros(2)
    for _ in range(200):
        values = rng.normal(size=(20, 16))
        values[0, 0] += 4
        found += [familywise_p(values)[0] <= 0.05, familywise_p(values, alike=np.zeros(16, dtype=int))[0] <= 0.05]
    assert found[1] > 1.1 * found[0]
