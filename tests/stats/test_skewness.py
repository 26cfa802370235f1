import numpy as np
import pytest
from scipy import stats

from toposheet.stats import centred, random_signs, skewness_of_t


def samples(*sizes):
    first = np.arange(sum(sizes)) < sizes[0]
    return (first, ~first) if len(sizes) == 2 else (first,)


def test_the_skewness_is_that_of_scipys_moments_unit_by_unit():
    rng = np.random.default_rng(0)
    x = np.exp(rng.normal(size=(25, 7))) * np.where(np.arange(7) % 3, 1, -1)
    by_unit = []
    for values in x.T:
        a, b = values[:10], values[10:]
        skews = [stats.skew(part, bias=False) for part in (a, b)]
        third = [g * part.std(ddof=1) ** 3 / len(part) ** 2 for g, part in zip(skews, (a, b), strict=True)]
        error = a.var(ddof=1) / 10 + b.var(ddof=1) / 15
        by_unit.append(np.sign(10 * skews[0] + 15 * skews[1]) * (third[0] - third[1]) / error**1.5)
    assert skewness_of_t(centred(x), samples(10, 15)) == pytest.approx(by_unit)
    one = [np.abs(stats.skew(values, bias=False)) / np.sqrt(25) for values in x.T]
    assert skewness_of_t(centred(x), samples(25)) == pytest.approx(one)


def test_the_skewness_is_that_of_simulated_differences_of_means():
    rng = np.random.default_rng(0)
    n, sd = (8, 24), (2.0, 1.0)
    a, b = (scale * rng.exponential(size=(200_000, size)).mean(axis=1) for scale, size in zip(sd, n, strict=True))
    x = np.concatenate(
        [scale * rng.exponential(size=(size, 4000)) for scale, size in zip(sd, (800, 2400), strict=True)]
    )
    skewness = np.median(skewness_of_t(centred(x), samples(800, 2400)))
    assert skewness * 10 == pytest.approx(stats.skew(a - b), rel=0.05)


def test_draws_with_signs_are_the_values_of_items_whose_signs_are_changed():
    rng = np.random.default_rng(0)
    x, signs = centred(np.exp(rng.normal(size=(25, 7)))), random_signs(4, 25, rng)
    draws = skewness_of_t(x, [signs * sample for sample in samples(10, 15)])
    assert draws == pytest.approx(np.stack([skewness_of_t(sign[:, None] * x, samples(10, 15)) for sign in signs]))


def test_silent_units_are_nan_and_the_scale_does_not_count():
    x = np.exp(np.random.default_rng(0).normal(size=(20, 5)))
    value = skewness_of_t(centred(x), samples(5, 15))
    assert skewness_of_t(centred(1000 * x), samples(5, 15)) == pytest.approx(value)
    assert np.isnan(skewness_of_t(centred(np.ones((20, 3))), samples(5, 15))).all()
