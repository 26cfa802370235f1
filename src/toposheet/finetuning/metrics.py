"""The metrics of GLUE, and their intervals over examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from scipy.stats import rankdata

from toposheet.stats import wilson_interval

DRAWS = 999
_AT_ONCE = 2**22  # resampled examples in memory at once

Values = Float[np.ndarray, "*draws examples"]
Scores = Float[np.ndarray, "*draws"]


def accuracy(labels: Values, predictions: Values) -> Scores:
    """Return the share of examples whose prediction is the label."""
    return np.asarray((labels == predictions).mean(axis=-1))


def f1(labels: Values, predictions: Values) -> Scores:
    """Return F1 of the label 1: 2 TP / (2 TP + FP + FN). Without such labels and predictions it is 0."""
    both = ((labels == 1) & (predictions == 1)).sum(axis=-1)
    return _ratio(2.0 * both, (labels == 1).sum(axis=-1) + (predictions == 1).sum(axis=-1))


def matthews(labels: Values, predictions: Values) -> Scores:
    """Return the correlation of two labels 0 and 1 with their predictions (Matthews 1975).

    If all labels or all predictions are equal, it is 0.
    """
    return pearson(labels, predictions)


def pearson(labels: Values, predictions: Values) -> Scores:
    """Return the Pearson correlation of labels and predictions. If one of them does not vary, it is 0."""
    x, y = (values - values.mean(axis=-1, keepdims=True) for values in (labels, predictions))
    return _ratio((x * y).sum(axis=-1), np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))


def spearman(labels: Values, predictions: Values) -> Scores:
    """Return the Spearman correlation of labels and predictions. If one of them does not vary, it is 0."""
    return pearson(rankdata(labels, axis=-1), rankdata(predictions, axis=-1))


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> np.ndarray:
    """Return a ratio, and 0 where it is 0 / 0."""
    over = np.asarray(denominator)
    return np.divide(numerator, over, out=np.zeros(over.shape), where=over > 1e-12)


METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def score(metrics: Sequence[str], labels: Values, predictions: Values) -> Scores:
    """Return the mean of several metrics, which is the score of a GLUE task."""
    return np.asarray(np.mean([METRICS[metric](labels, predictions) for metric in metrics], axis=0))


def score_interval(
    metrics: Sequence[str],
    labels: Float[np.ndarray, " examples"],
    predictions: Float[np.ndarray, " examples"],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a score over examples.

    In 95 of 100 cases it holds the score on all possible examples. An accuracy has Wilson's interval. Other scores have
    the percentile bootstrap: they are computed again for 999 samples of the examples, drawn with replacement. It is too
    narrow with few examples that a model gets wrong: with 70 examples, 98 % of them right, it held accuracy and F1 in
    74 % of simulations, with 277 in 91 %.

    Args:
        metrics: Names of the metrics; the score is their mean.
        labels: The labels.
        predictions: The predictions.
        rng: Generator of the random draws.
    """
    if tuple(metrics) == ("accuracy",):
        return wilson_interval(float(accuracy(labels, predictions)), len(labels))
    low, high = np.quantile(resampled(metrics, labels, predictions, rng), (0.025, 0.975))
    return float(low), float(high)


def difference_interval(
    metrics: Sequence[str],
    labels: Float[np.ndarray, " examples"],
    predictions: Float[np.ndarray, " examples"],
    others: Float[np.ndarray, " examples"],
    seed: int,
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the difference of the scores of two models on the same examples.

    In each draw of the bootstrap, both models get the same examples. It is too narrow with few examples on which the
    models differ: two models with equal predictions have 0 to 0.

    Args:
        metrics: Names of the metrics; the score is their mean.
        labels: The labels.
        predictions: The predictions of the first model.
        others: The predictions of the other model.
        seed: Seed of the draws.
    """
    mine, theirs = (resampled(metrics, labels, one, np.random.default_rng(seed)) for one in (predictions, others))
    low, high = np.quantile(mine - theirs, (0.025, 0.975))
    return float(low), float(high)


def resampled(
    metrics: Sequence[str],
    labels: Float[np.ndarray, " examples"],
    predictions: Float[np.ndarray, " examples"],
    rng: np.random.Generator,
) -> Float[np.ndarray, " draws"]:
    """Return the score of 999 samples of the examples, drawn with replacement."""
    n, scores = len(labels), []
    at_once = max(1, _AT_ONCE // n)
    for first in range(0, DRAWS, at_once):
        drawn = rng.integers(n, size=(min(at_once, DRAWS - first), n))
        scores.append(score(metrics, labels[drawn], predictions[drawn]))
    return np.concatenate(scores)
