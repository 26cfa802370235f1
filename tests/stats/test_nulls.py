import numpy as np
import pytest

from toposheet.stats import against_null, shuffled_labels


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
