"""The features of baselines, against explicit loops."""

import math

import numpy as np
from tests.encoding.simulated import STORIES, responses_of, unrelated

from toposheet.encoding.baselines import baseline_features, sequences


def test_sequences_are_blurred_identities_within_passages_and_orthogonal_between_them():
    passages = np.array([0, 0, 0, 1, 1])
    features = sequences(passages, 1.5)
    for i in range(5):
        for j in range(5):
            expected = math.exp(-((i - j) ** 2) / (2 * 1.5**2)) if passages[i] == passages[j] else 0.0
            assert math.isclose(features[i, j], expected)
    assert (features[:3] @ features[3:].T == 0).all()


def test_position_counts_from_the_start_of_each_passage_and_has_its_square_and_cube(rng):
    responses = responses_of(rng.normal(size=(5, 2)), {"text": ["a", "b b", "c", "dd dd dd", "e"]})
    features = baseline_features(responses, np.array([0, 0, 0, 1, 1]), 2.0)
    places = np.array([0, 1, 2, 0, 1]) / 2
    np.testing.assert_allclose(features["position"].values, np.stack([places, places**2, places**3], axis=1))
    np.testing.assert_array_equal(features["length"].values, [[1, 1], [3, 2], [1, 1], [8, 3], [1, 1]])
    assert list(features) == ["position", "length", "oasm"]


def test_tokens_and_an_untrained_model_are_baselines_where_they_are_known():
    responses, _ = unrelated(0)
    counted = responses.assign_coords(n_tokens=("stimulus", np.arange(60)))
    features = baseline_features(counted, STORIES, 2.0, responses)
    np.testing.assert_array_equal(features["length"].values[:, 2], np.arange(60))
    np.testing.assert_array_equal(features["untrained"].values, responses.values)
    assert not features["oasm"].scaled
