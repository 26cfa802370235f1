import numpy as np
import pytest

from toposheet.stats import against_null, halves, random_signs, shuffled, shuffled_labels


def test_p_counts_draws_that_reach_the_value_and_the_value_itself():
    draws = np.array([0.0, 1.0, 2.0, 3.0])
    null = against_null(np.array(2.0), draws)
    assert null.p == (1 + 2) / (1 + 4)
    assert null.z == pytest.approx((2.0 - 1.5) / draws.std(ddof=1))


def test_p_can_never_be_zero():
    assert against_null(np.array(9.0), np.zeros(99)).p == 0.01


def test_a_missing_value_has_no_p():
    null = against_null(np.array([np.nan, 1.0]), np.zeros((5, 2)))
    assert np.isnan(null.p[0])
    assert null.p[1] == pytest.approx(1 / 6)


def test_shuffled_labels_keep_sizes_and_are_all_equally_likely(rng):
    labels = shuffled_labels(np.array([1, 1, 0, 0, 0], bool), 5000, rng)
    assert (labels.sum(axis=1) == 2).all()
    ways, counts = np.unique(labels, axis=0, return_counts=True)
    assert len(ways) == 10
    assert (np.abs(counts - 500) < 4 * np.sqrt(500)).all()


def test_signs_are_tossed_for_each_item_in_each_draw(rng):
    signs = random_signs(4000, 4, rng)
    ways, counts = np.unique(signs, axis=0, return_counts=True)
    assert len(ways) == 2**4
    assert set(np.unique(signs)) == {-1, 1}
    assert (np.abs(counts - 250) < 4 * np.sqrt(250)).all()


def test_draws_that_are_not_defined_are_left_out_and_counted():
    draws = np.array([[np.nan, np.nan], [1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])
    null = against_null(np.array([2.5, 2.5]), draws)
    assert null.undefined.tolist() == [0.25, 0.75]
    assert null.p[0] == (1 + 1) / (1 + 3)
    assert null.z[0] == pytest.approx(0.5)
    assert np.isnan([null.p[1], null.z[1], null.mean[1]]).all()


def test_small_values_can_be_the_extreme_ones():
    assert against_null(0.5, np.array([0.0, 1.0, 2.0, 3.0]), larger=False).p == (1 + 1) / (1 + 4)


def test_every_order_of_units_is_equally_likely(rng):
    orders = shuffled(3, 3000, rng)
    ways, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(ways) == 6
    assert (np.abs(counts - 500) < 4 * np.sqrt(500)).all()


def test_halves_are_even_and_odd_items_of_each_sample():
    in_a = np.array([1, 0, 1, 1, 0, 0, 1], bool)
    even, odd = halves([in_a, ~in_a])
    assert even.tolist() == [True, True, False, True, False, True, False]
    assert (odd == ~even).all()
    stacked = halves([np.stack([in_a, ~in_a]), np.stack([~in_a, in_a])])
    assert (stacked[0] == even).all()


def test_a_draw_that_equals_the_value_but_for_rounding_reaches_it():
    value = 0.1 + 0.2
    assert against_null(value, np.array([0.3, 0.1, 0.2])).p == (1 + 1) / (1 + 3)
    assert against_null(0.3, np.array([value, 0.5, 0.7]), larger=False).p == (1 + 1) / (1 + 3)
