import numpy as np
import pytest

from toposheet.stats.bootstrap import hierarchical_bootstrap


def slow_bootstrap(groups, resamples, rng):
    means = []
    for _ in range(resamples):
        chosen = [groups[i] for i in rng.integers(len(groups), size=len(groups))]
        means.append(np.mean([rng.choice(values, len(values)).mean() for values in chosen]))
    return np.array(means)


def test_equals_resampling_group_by_group(rng):
    groups = [rng.normal(mean, 1, size=n) for mean, n in ((0, 10), (2, 24), (5, 4))]
    fast, slow = hierarchical_bootstrap(groups, 20_000, rng), slow_bootstrap(groups, 20_000, rng)
    np.testing.assert_allclose(
        np.quantile(fast, (0.025, 0.5, 0.975)), np.quantile(slow, (0.025, 0.5, 0.975)), atol=0.06
    )
    assert fast.std() == pytest.approx(slow.std(), rel=0.03)


def test_values_of_a_group_do_not_count_as_independent(rng):
    # Five models whose taps agree: only the models vary.
    groups = [np.full(24, mean) for mean in rng.normal(size=5)]
    spread = np.array([values[0] for values in groups]).std()
    assert hierarchical_bootstrap(groups, 20_000, rng).std() == pytest.approx(spread / np.sqrt(5), rel=0.03)


def test_a_single_group_resamples_its_values(rng):
    values = rng.normal(size=50)
    assert hierarchical_bootstrap([values], 20_000, rng).std() == pytest.approx(values.std() / np.sqrt(50), rel=0.03)


@pytest.mark.parametrize("groups", [[], [np.array([])]])
def test_nothing_to_resample_is_refused(groups, rng):
    with pytest.raises(ValueError, match="at least one group, and at least one value in each"):
        hierarchical_bootstrap(groups, 10, rng)
