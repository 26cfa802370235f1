"""The noise ceiling, against simulated ceilings and an independent computation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from toposheet.encoding.ceiling import noise_ceiling, normalised


@pytest.mark.parametrize(("n", "noise"), [(2, 1.0), (3, 2.0), (6, 0.5)])
def test_it_is_the_correlation_of_the_mean_with_the_true_signal(rng, n, noise):
    signal = rng.normal(size=(4000, 3))
    values = signal[..., None] + noise * rng.normal(size=(4000, 3, n))
    measured = [stats.pearsonr(signal[:, v], values[:, v].mean(axis=1))[0] for v in range(3)]
    expected = 1 / np.sqrt(1 + noise**2 / n)
    np.testing.assert_allclose(measured, expected, atol=0.02)
    np.testing.assert_allclose(noise_ceiling(values), expected, atol=0.02)


def test_it_is_the_root_of_split_half_reliability_with_spearman_and_browns_correction(rng):
    values = rng.normal(size=(30, 1, 1)) + rng.normal(size=(30, 1, 2))
    r = stats.pearsonr(values[:, 0, 0], values[:, 0, 1])[0]
    np.testing.assert_allclose(noise_ceiling(values), np.sqrt(2 * r / (1 + r)))
    values = rng.normal(size=(30, 1, 1)) + rng.normal(size=(30, 1, 5))
    mean = np.mean([stats.pearsonr(*values[:, 0, pair].T)[0] for pair in itertools.combinations(range(5), 2)])
    np.testing.assert_allclose(noise_ceiling(values), np.sqrt(5 * mean / (1 + 4 * mean)))


def test_one_repetition_has_no_ceiling_and_repetitions_that_disagree_have_0(rng):
    assert np.isnan(noise_ceiling(rng.normal(size=(20, 3, 1)))).all()
    x = rng.normal(size=(20, 2))
    np.testing.assert_array_equal(noise_ceiling(np.stack([x, -x], axis=2)), 0)


def test_scores_are_normalised_only_where_the_ceiling_is_high_enough():
    r, ceiling = np.array([0.4, 0.4, 0.4, 0.4]), np.array([0.8, 0.3, 0.29, np.nan])
    np.testing.assert_allclose(normalised(r, ceiling), [0.5, 0.4 / 0.3, np.nan, np.nan])
