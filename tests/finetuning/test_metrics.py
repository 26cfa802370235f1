import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as references

from toposheet.finetuning.metrics import METRICS, difference_interval, resampled, score, score_interval

REFERENCES = {
    "accuracy": references.accuracy_score,
    "f1": lambda labels, predictions: references.f1_score(labels, predictions, zero_division=0),
    "matthews": references.matthews_corrcoef,
    "pearson": lambda labels, predictions: stats.pearsonr(labels, predictions).statistic,
    "spearman": lambda labels, predictions: stats.spearmanr(labels, predictions).statistic,
}


def drawn(metric, rng, n=40):
    if metric in ("pearson", "spearman"):
        labels = rng.integers(0, 26, n) / 5
        return labels, labels + rng.normal(size=n)
    labels = rng.integers(0, 2, n).astype(float)
    return labels, np.where(rng.random(n) < 0.7, labels, 1 - labels)


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_are_those_of_scikit_learn_and_scipy(metric, rng):
    for _ in range(20):
        labels, predictions = drawn(metric, rng)
        assert METRICS[metric](labels, predictions) == pytest.approx(REFERENCES[metric](labels, predictions))


@pytest.mark.parametrize("metric", METRICS)
def test_a_stack_of_draws_has_the_metric_of_each_draw(metric, rng):
    draws = [drawn(metric, rng) for _ in range(5)]
    stacked = METRICS[metric](*map(np.stack, zip(*draws, strict=True)))
    np.testing.assert_allclose(stacked, [METRICS[metric](*draw) for draw in draws])


@pytest.mark.parametrize("metric", ["matthews", "pearson", "spearman", "f1"])
def test_a_constant_prediction_says_nothing(metric, rng):
    labels, _ = drawn(metric, rng)
    assert METRICS[metric](labels, np.zeros(len(labels))) == 0


def test_three_labels_have_an_accuracy(rng):
    labels, predictions = (rng.integers(0, 3, 30).astype(float) for _ in range(2))
    assert METRICS["accuracy"](labels, predictions) == references.accuracy_score(labels, predictions)


def test_the_score_of_two_metrics_is_their_mean(rng):
    labels, predictions = drawn("f1", rng)
    expected = np.mean([REFERENCES[metric](labels, predictions) for metric in ("accuracy", "f1")])
    assert score(("accuracy", "f1"), labels, predictions) == pytest.approx(expected)


def test_the_samples_of_the_bootstrap_are_drawn_with_replacement(rng, monkeypatch):
    labels, predictions = drawn("pearson", rng)
    whole = resampled(("pearson",), labels, predictions, np.random.default_rng(1))
    reference = stats.bootstrap((labels, predictions), lambda x, y: stats.pearsonr(x, y).statistic, paired=True,
                                vectorized=False, n_resamples=999, rng=rng, method="percentile")  # fmt: skip
    assert whole.std(ddof=1) == pytest.approx(reference.standard_error, rel=0.1)
    monkeypatch.setattr("toposheet.finetuning.metrics._AT_ONCE", 7 * len(labels))  # many examples: in parts
    np.testing.assert_array_equal(resampled(("pearson",), labels, predictions, np.random.default_rng(1)), whole)


@pytest.mark.parametrize(("metric", "truth"), [("matthews", 0.4), ("accuracy", 0.7), ("pearson", 1.5 / np.sqrt(3.25))])
def test_intervals_cover_the_true_score(metric, truth, rng):
    covered = 0
    for _ in range(200):
        if metric == "pearson":
            labels = rng.normal(scale=1.5, size=100)
            predictions = labels + rng.normal(size=100)
        else:
            labels, predictions = drawn(metric, rng, 100)
        low, high = score_interval((metric,), labels, predictions, rng)
        covered += low <= truth <= high
    assert 0.89 < covered / 200 < 0.99


def test_the_interval_of_a_difference_knows_that_the_examples_are_the_same(rng):
    labels, predictions = drawn("matthews", rng, 300)
    others = predictions.copy()
    others[:6] = 1 - others[:6]
    low, high = difference_interval(("matthews",), labels, predictions, others, 0)
    alone = np.diff(score_interval(("matthews",), labels, predictions, rng))[0]
    assert high - low < 0.5 * alone
    assert difference_interval(("matthews",), labels, predictions, predictions, 0) == (0, 0)
