"""Folds are contiguous in time, and hold whole passages."""

import numpy as np
import pytest
from tests.encoding.simulated import STORIES

import toposheet as ts
from toposheet.encoding.splits import Folds, blocks_of, make_folds


def contiguous(rows):
    return (np.diff(rows) == 1).all()


def test_folds_without_passages_are_contiguous_and_each_stimulus_is_predicted_once(rng):
    for n in (15, 16, 61):
        folds = make_folds(blocks_of(n, None, 5), 5, 0, False, rng)
        tests = [test for _, test in folds]
        assert all(contiguous(test) for test in tests)
        assert np.concatenate(tests).tolist() == list(range(n))
        assert max(map(len, tests)) <= 2 * min(map(len, tests))
        for train, test in folds:
            assert sorted([*train, *test]) == list(range(n))


def test_folds_hold_whole_passages(rng):
    folds = make_folds(blocks_of(60, STORIES, 4), 4, 0, False, rng)
    for train, test in folds:
        assert contiguous(test)
        assert not set(STORIES[train]) & set(STORIES[test])


@pytest.mark.parametrize("gap", [1, 4])
def test_rows_near_a_test_row_do_not_train(rng, gap):
    folds = make_folds(blocks_of(40, None, 4), 4, gap, False, rng)
    for train, test in folds:
        expected = [row for row in range(40) if min(abs(row - other) for other in test) > gap]
        assert train.tolist() == expected
        for inner, left_out in folds.within(train):
            near = [min(abs(row - other) for other in train[left_out]) for row in train[inner]]
            assert min(near) > gap
            assert not set(train[inner]) & set(test)
            assert contiguous(train[left_out])


def test_nested_folds_leave_out_one_other_fold_each(rng):
    folds = make_folds(blocks_of(30, None, 5), 5, 0, False, rng)
    for train, _ in folds:
        nested = folds.within(train)
        assert len(nested) == 4
        assert sorted(np.concatenate([train[left_out] for _, left_out in nested])) == train.tolist()


def test_random_folds_are_random_and_equal_in_size(rng):
    folds = make_folds(blocks_of(60, STORIES, 5), 5, 0, True, rng)
    sizes = np.bincount(folds.of_stimuli)
    assert sizes.tolist() == [12] * 5
    assert not any(contiguous(test) for _, test in folds)


def test_the_prediction_without_features_is_the_mean_of_the_training_rows():
    y = np.array([[1.0], [2.0], [30.0], [4.0]])
    folds = Folds(np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(folds.training_means(y)[:, 0], [17.0, 17.0, 7 / 3, 11.0])


@pytest.mark.parametrize(
    ("n", "passages", "folds", "gap", "words"),
    [
        (60, STORIES, 9, 0, "8 passages for 9 folds of whole passages, of at least 3 folds: choose 8 folds"),
        (60, np.repeat([0, 1], 30), 5, 0, "2 passages for 5 folds of whole passages, of at least 3 folds: leave"),
        (14, None, 5, 0, "14 stimuli for 5 folds: a fold needs at least 3 stimuli"),
        (60, None, 2, 0, "folds is 2: it must be a whole number of at least 3"),
        (60, None, 5, 20, "gap is 20: it leaves 0 of 60 stimuli to train on"),
    ],
)
def test_folds_that_cannot_be_made_are_refused_in_one_line(rng, n, passages, folds, gap, words):
    with pytest.raises(ts.UserError, match=words) as error:
        make_folds(blocks_of(n, passages, folds), folds, gap, False, rng)
    assert "\n" not in str(error.value)
