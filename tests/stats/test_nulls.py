import numpy as np
import pytest

from toposheet.stats import against_null, flipped_pairs, halves, shuffled_labels, shuffled_within


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


def test_shuffled_labels_keep_sizes_and_touch_no_third_condition(rng):
    in_a, in_b = np.zeros(12, bool), np.zeros(12, bool)
    in_a[:3], in_b[5:] = True, True
    a, b = shuffled_labels(in_a, in_b, 50, rng)
    assert (a.sum(axis=1) == 3).all()
    assert (b.sum(axis=1) == 7).all()
    assert ((a | b) == (in_a | in_b)).all()
    assert not (a & b).any()
    assert len(np.unique(a, axis=0)) > 30


def test_draws_that_are_not_defined_are_left_out_and_counted():
    draws = np.array([[np.nan, np.nan], [1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])
    null = against_null(np.array([2.5, 2.5]), draws)
    assert null.undefined.tolist() == [0.25, 0.75]
    assert null.p[0] == (1 + 1) / (1 + 3)
    assert null.z[0] == pytest.approx(0.5)
    assert np.isnan([null.p[1], null.z[1], null.mean[1]]).all()


def test_small_values_can_be_the_extreme_ones():
    assert against_null(0.5, np.array([0.0, 1.0, 2.0, 3.0]), larger=False).p == (1 + 1) / (1 + 4)


def test_units_change_places_within_their_tap_only(rng):
    taps = np.repeat([0, 1, 0], [5, 6, 4])
    orders = shuffled_within(taps, 200, rng)
    assert (taps[orders] == taps).all()
    assert (np.sort(orders, axis=1) == np.arange(15)).all()
    counts = np.array([(orders[:, 0] == unit).sum() for unit in np.flatnonzero(taps == 0)])
    assert (counts > 5).all()


def test_stimuli_of_a_group_keep_one_label_and_one_half(rng):
    groups = np.repeat([7, 3, 9, 1, 4, 8], [2, 3, 1, 2, 3, 1])[[0, 2, 5, 1, 3, 4, 6, 7, 8, 9, 10, 11]]
    in_a = np.isin(groups, [7, 3, 9])
    a, b = shuffled_labels(in_a, ~in_a, 100, rng, groups)
    even, odd = halves(a, b, groups)
    for group in np.unique(groups):
        for labelling in (a, b, even, odd):
            assert (labelling[:, groups == group] == labelling[:, groups == group][:, :1]).all()
    n_groups = np.array([[row[groups == g].any() for g in np.unique(groups)] for row in a]).sum(axis=1)
    assert (n_groups == 3).all()
    assert len(np.unique(a, axis=0)) == 20  # all ways to choose three groups of six
    assert (even ^ odd).all()


def test_partners_of_a_pair_change_places_or_do_not_each_pair_by_itself(rng):
    pairs = np.array([2, 0, 1, 1, 0, 2, 3, 3])
    in_a = np.array([1, 1, 0, 1, 0, 0, 1, 0], bool)
    a, b = flipped_pairs(in_a, ~in_a, 4000, rng, pairs)
    assert (a ^ b).all()
    flipped = a != in_a
    for pair in range(4):
        assert (a[:, pairs == pair].sum(axis=1) == 1).all()
        assert (flipped[:, pairs == pair] == flipped[:, pairs == pair][:, :1]).all()
    ways, counts = np.unique(a, axis=0, return_counts=True)
    assert len(ways) == 2**4
    assert (np.abs(counts - 250) < 4 * np.sqrt(250)).all()  # all equally often


def test_stimuli_of_neither_condition_stay_out_when_pairs_change_places(rng):
    in_a, in_b = np.array([1, 0, 0, 1, 0], bool), np.array([0, 1, 0, 0, 1], bool)
    a, b = flipped_pairs(in_a, in_b, 50, rng, np.array([0, 0, 2, 1, 1]))
    assert not (a | b)[:, 2].any()
    assert ((a | b)[:, [0, 1, 3, 4]]).all()


def test_flipped_pairs_depend_on_the_generator_alone():
    pairs, in_a = np.repeat(np.arange(9), 2), np.tile([True, False], 9)
    one, again, other = (flipped_pairs(in_a, ~in_a, 20, np.random.default_rng(seed), pairs)[0] for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_a_group_with_stimuli_of_both_conditions_is_refused(rng):
    in_a = np.array([True, True, False, False])
    with pytest.raises(ValueError, match="the two conditions share a value of the column"):
        shuffled_labels(in_a, ~in_a, 3, rng, np.array([0, 1, 1, 2]))


def test_halves_are_even_and_odd_items_of_each_condition():
    in_a = np.array([1, 0, 1, 1, 0, 0, 1], bool)
    even, odd = halves(in_a, ~in_a)
    assert even.tolist() == [True, True, False, True, False, True, False]
    assert (odd == ~even).all()


def test_a_draw_that_equals_the_value_but_for_rounding_reaches_it():
    value = 0.1 + 0.2
    assert against_null(value, np.array([0.3, 0.1, 0.2])).p == (1 + 1) / (1 + 3)
    assert against_null(0.3, np.array([value, 0.5, 0.7]), larger=False).p == (1 + 1) / (1 + 3)
