"""Ridge regression against a closed form with explicit loops."""

import numpy as np
import pytest

from toposheet.encoding.baselines import Features
from toposheet.encoding.ridge import PENALTIES, BandedRidge, baseline_weights, joint_weights, standardised
from toposheet.encoding.splits import Folds, blocks_of, make_folds


def primal(features, weights, penalty, train, test, y):
    """Ridge regression in the features, by the normal equations: each band is scaled, and the mean is not shrunk."""
    scaled_train, scaled_test = [], []
    for band, weight in zip(features, weights, strict=True):
        a, b = band.values[train], band.values[test]
        scale = a.std(axis=0) if band.scaled else np.ones(a.shape[1])
        z, z_test = (a - a.mean(axis=0)) / scale, (b - a.mean(axis=0)) / scale
        size = np.mean([row @ row for row in z])
        scaled_train.append(np.sqrt(weight / size) * z)
        scaled_test.append(np.sqrt(weight / size) * z_test)
    z, z_test = np.hstack(scaled_train), np.hstack(scaled_test)
    centre = z.mean(axis=0)
    z, z_test = z - centre, z_test - centre
    mean = y[train].mean()
    beta = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (y[train] - mean))
    return z_test @ beta + mean


def inner_primal(features, weights, penalty, train, inner, left_out, y):
    """The same for a nested fold: features keep the scale of all training rows, but lose the mean of the inner ones."""
    z = []
    for band, weight in zip(features, weights, strict=True):
        a = band.values[train]
        scale = a.std(axis=0) if band.scaled else np.ones(a.shape[1])
        one = (a - a.mean(axis=0)) / scale
        z.append(np.sqrt(weight / np.mean([row @ row for row in one])) * one)
    z = np.hstack(z)
    z = z - z[inner].mean(axis=0)
    y = y[train]
    mean = y[inner].mean()
    beta = np.linalg.solve(z[inner].T @ z[inner] + penalty * np.eye(z.shape[1]), z[inner].T @ (y[inner] - mean))
    return z[left_out] @ beta + mean


@pytest.mark.parametrize("gap", [0, 1])
def test_predictions_are_those_of_the_closed_form_with_the_best_penalty_of_nested_folds(rng, gap):
    n, y = 24, rng.normal(size=(24, 3))
    bands = [Features(3 * rng.normal(size=(n, 5)) + 2), Features(rng.normal(size=(n, 2)), scaled=False)]
    y[:, 0] += bands[0].values[:, 0]
    y[:, 1] += 2 * bands[1].values[:, 1]
    folds = make_folds(blocks_of(n, None, 4), 4, gap, False, rng)
    candidates = np.array([[1.0, 0.0], [0.3, 0.7], [0.0, 1.0]])
    predicted = BandedRidge(bands, candidates, folds).held_out(y)
    for train, test in folds:
        for voxel in range(3):
            best, least = None, np.inf
            for weights in candidates:
                for penalty in PENALTIES:
                    errors = []
                    for inner, left_out in folds.within(train):
                        guess = inner_primal(bands, weights, penalty, train, inner, left_out, y[:, voxel])
                        errors.append(np.mean((y[train][left_out, voxel] - guess) ** 2))
                    if np.mean(errors) < least - 1e-12:
                        best, least = (weights, penalty), np.mean(errors)
            expected = primal(bands, *best, train, test, y[:, voxel])
            np.testing.assert_allclose(predicted[test, voxel], expected, atol=1e-8)


def test_nothing_of_a_test_row_reaches_the_model_that_predicts_it(rng):
    x, y = rng.normal(size=(30, 8)), rng.normal(size=(30, 2))
    folds = make_folds(blocks_of(30, None, 3), 3, 0, False, rng)
    before = BandedRidge([Features(x)], baseline_weights(1), folds).held_out(y)
    train, test = next(iter(folds))
    changed, other_y = x.copy(), y.copy()
    changed[test[1:]] = 1000 * rng.normal(size=changed[test[1:]].shape) + 500  # would move every mean and scale
    other_y[test] = 77.0
    after = BandedRidge([Features(changed)], baseline_weights(1), folds).held_out(other_y)
    np.testing.assert_allclose(after[test[0]], before[test[0]], rtol=1e-10)
    of_train, _ = standardised(Features(changed), train, test)
    np.testing.assert_allclose(of_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(of_train.std(axis=0), 1)


def test_a_feature_that_does_not_vary_in_training_predicts_nothing(rng):
    x, y = np.zeros((12, 2)), rng.normal(size=(12, 1))
    folds = Folds(np.repeat(np.arange(3), 4))
    x[:4, 0] = rng.normal(size=4)  # varies in the first fold alone
    predicted = BandedRidge([Features(x)], baseline_weights(1), folds).held_out(y)
    np.testing.assert_allclose(predicted[:4], folds.training_means(y)[:4])


def test_targets_do_not_influence_each_other(rng):
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 5))
    ridge = BandedRidge([Features(x)], baseline_weights(1), Folds(np.repeat(np.arange(4), 5)))
    np.testing.assert_allclose(ridge.held_out(y)[:, 2:3], ridge.held_out(y[:, 2:3]), atol=1e-12)


def test_the_joint_regression_can_choose_the_baselines_alone_and_the_model_alone():
    for n in (1, 3, 4):
        weights = joint_weights(n)
        assert np.allclose(weights.sum(axis=1), 1)
        of_baselines = weights[weights[:, 0] == 0][:, 1:]
        np.testing.assert_allclose(np.unique(of_baselines, axis=0), np.unique(baseline_weights(n), axis=0))
        assert (weights[:, 0] == 1).any()
