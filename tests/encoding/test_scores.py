"""Scores of predictions against explicit loops, and their intervals."""

import numpy as np
from scipy import stats

from toposheet.encoding.scores import Sums, mean_interval, resamples
from toposheet.encoding.splits import Folds

FOLDS = Folds(np.repeat(np.arange(3), [4, 5, 6]))
BLOCKS = np.repeat(np.arange(6), [2, 2, 3, 2, 3, 3])


def test_r_and_r2_are_those_of_loops_over_folds(rng):
    y, predicted = rng.normal(size=(15, 3)), rng.normal(size=(15, 3))
    sums = Sums.of(predicted, y, FOLDS, BLOCKS)
    for voxel in range(3):
        products, of_p, of_y, residual, total = 0.0, 0.0, 0.0, 0.0, 0.0
        for train, test in FOLDS:
            p, value, mean = predicted[test, voxel], y[test, voxel], y[train, voxel].mean()
            products += sum((p - p.mean()) * (value - value.mean()))
            of_p, of_y = of_p + sum((p - p.mean()) ** 2), of_y + sum((value - value.mean()) ** 2)
            residual, total = residual + sum((value - p) ** 2), total + sum((value - mean) ** 2)
        np.testing.assert_allclose(sums.r[voxel], products / np.sqrt(of_p * of_y))
        np.testing.assert_allclose(sums.r2[voxel], 1 - residual / total)


def test_in_one_fold_r_is_pearsons(rng):
    y, predicted = rng.normal(size=(15, 1)), rng.normal(size=(15, 1))
    centred = Sums.of(predicted, y, Folds(np.repeat([0, 1], [14, 1])), np.repeat([0, 1], [14, 1]))
    np.testing.assert_allclose(centred.r[0], stats.pearsonr(predicted[:14, 0], y[:14, 0])[0])


def test_the_prediction_without_features_has_r_0_and_r2_0(rng):
    y = rng.normal(size=(15, 2))
    sums = Sums.of(FOLDS.training_means(y) * (1 + 1e-15), y, FOLDS, BLOCKS)
    np.testing.assert_array_equal(sums.r, 0)
    np.testing.assert_allclose(sums.r2, 0, atol=1e-12)


def test_a_sample_with_each_block_once_is_the_score_itself(rng):
    y, predicted = rng.normal(size=(15, 3)), rng.normal(size=(15, 3))
    sums = Sums.of(predicted, y, FOLDS, BLOCKS)
    once = sums.in_samples(np.ones((2, 6)), slice(None))
    np.testing.assert_allclose(once.r, np.tile(sums.r, (2, 1)))
    np.testing.assert_allclose(once.r2, np.tile(sums.r2, (2, 1)))


def test_the_interval_of_a_mean_of_independent_blocks_covers_the_truth_as_often_as_it_says():
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        blocks = np.repeat(np.arange(30), 4)
        y = rng.normal(size=(120, 1)) + np.repeat(rng.normal(size=30), 4)[:, None]  # stimuli of a block are alike
        predicted = 0.5 * y + rng.normal(size=(120, 1)) + np.repeat(rng.normal(size=30), 4)[:, None]
        folds = Folds(np.repeat(np.arange(3), 40))
        low, high = mean_interval(lambda sums: sums[0].r, [Sums.of(predicted, y, folds, blocks)], resamples(30, rng))
        covered.append(low <= 1 / np.sqrt(2 * 2.5) <= high)
    assert np.mean(covered) > 0.88


def test_an_interval_of_values_that_are_never_defined_is_nan(rng):
    sums = Sums.of(rng.normal(size=(15, 2)), rng.normal(size=(15, 2)), FOLDS, BLOCKS)
    low, high = mean_interval(lambda one: np.full_like(one[0].r, np.nan), [sums], resamples(6, rng))
    assert np.isnan([low, high]).all()
