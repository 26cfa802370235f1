import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import cortex, noise, responses, to_stimuli

import toposheet as ts
from toposheet.cortex.confounds import without_confounds


def items_of(half):
    return half.responses["item"].values.tolist()


def with_items(n, **columns):
    """White noise; every text has a number of its own."""
    return noise(0, n=n, item=np.arange(n), **columns)


def test_even_and_odd_are_every_other_text_of_each_condition():
    data = with_items(12).assign_coords(condition=("stimulus", list("aabbabababab")))
    even, odd = ts.Comparison(data, "a", "b").even_and_odd()
    assert items_of(even) == [0, 2, 4, 5, 8, 9]
    assert items_of(odd) == [1, 3, 6, 7, 10, 11]


def test_random_halves_share_no_text_and_leave_none_out():
    comparison = ts.Comparison(with_items(26), "a", "b")
    splits = set()
    for one, other in comparison.halves(20):
        assert sorted(items_of(one) + items_of(other)) == list(range(26))
        assert (one.design.in_a.sum(), one.design.in_b.sum(), other.design.in_a.sum(), other.design.in_b.sum()) == (
            7,
            7,
            6,
            6,
        )
        splits.add(tuple(items_of(one)))
    assert len(splits) == 20


def test_every_text_is_as_often_in_one_half_as_in_the_other():
    comparison = ts.Comparison(with_items(20), "a", "b")
    counts = np.bincount([item for one, _ in comparison.halves(400) for item in items_of(one)], minlength=20)
    assert (np.abs(counts - 200) < 4 * 10).all()  # sd of a coin tossed 400 times: 10


def test_random_halves_depend_on_the_seed_alone():
    comparison = ts.Comparison(with_items(20), "a", "b")
    first, again, other = ([items_of(one) for one, _ in comparison.halves(5, seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_halves_keep_groups_whole():
    groups = np.repeat(np.arange(14), [3, 1, 2, 4, 1, 1, 2, 3, 1, 2, 1, 2, 1, 4])
    order = np.random.default_rng(1).permutation(28)
    labels = np.where(groups % 2 == 0, "a", "b")[order]
    data = with_items(28, shared_words=groups[order]).assign_coords(condition=("stimulus", labels))
    comparison = ts.Comparison(data, "a", "b")
    for one, other in [comparison.even_and_odd(), *comparison.halves(20)]:
        in_one, in_other = (set(half.responses["shared_words"].values.tolist()) for half in (one, other))
        assert in_one.isdisjoint(in_other)
        assert in_one | in_other == set(range(14))
        assert len({group for group in in_one if group % 2 == 0}) == 4  # of seven groups of a


def test_halves_keep_pairs_whole():
    partners = np.random.default_rng(1).permutation(np.repeat(np.arange(9), 2))
    first = np.isin(np.arange(18), np.unique(partners, return_index=True)[1])
    data = with_items(18, pair=partners).assign_coords(condition=("stimulus", np.where(first, "a", "b")))
    comparison = ts.Comparison(data, "a", "b", pairs="pair")
    for one, other in [comparison.even_and_odd(), *comparison.halves(20)]:
        in_one, in_other = (half.responses["pair"].values.tolist() for half in (one, other))
        assert sorted(in_one) == sorted([*set(in_one), *set(in_one)])  # both partners of each
        assert set(in_one).isdisjoint(in_other)
        assert (len(set(in_one)), len(set(in_other))) == (5, 4)
        assert one.design.in_a.sum() == one.design.in_b.sum() == 5


def test_halves_of_pairs_whose_texts_share_words_keep_both_whole():
    # Pairs 0 and 1 are joined by the words of their first texts, 1 and 2 by those of their second.
    pair, words = np.repeat(np.arange(12), 2), np.arange(24)
    words[2], words[5] = words[0], words[3]
    data = with_items(24, pair=pair, shared_words=words)
    for one, other in ts.Comparison(data, "a", "b", pairs="pair").halves(20):
        for column in ("pair", "shared_words"):
            assert set(one.responses[column].values.tolist()).isdisjoint(other.responses[column].values.tolist())
        assert {0, 1, 2} <= set(one.responses["pair"].values.tolist()) or {0, 1, 2}.isdisjoint(
            one.responses["pair"].values.tolist()
        )


def test_halves_of_pairs_have_statistics_of_their_own():
    data = with_items(48, pair=np.repeat(np.arange(24), 2))
    for half in ts.Comparison(data, "a", "b", pairs="pair").even_and_odd():
        assert half.design.n_items == 12
        first, second = half.responses.values[half.design.in_a], half.responses.values[half.design.in_b]
        np.testing.assert_allclose(half.t, stats.ttest_rel(first, second).statistic, rtol=1e-4, atol=1e-5)
        assert np.isfinite(ts.map_statistics(half, permutations=2)["cross_half_i"]).all()


@pytest.mark.parametrize("split", [lambda c: c.even_and_odd(), lambda c: next(c.halves(1))])
def test_a_condition_that_is_too_small_is_not_halved(split):
    data = with_items(16).isel(stimulus=slice(0, 11))
    with pytest.raises(ValueError, match="the condition 'b' has 5 independent texts: two halves need at least 6"):
        split(ts.Comparison(data, "a", "b"))
    pairs = with_items(12, pair=np.repeat(np.arange(6), 2), shared_words=[0, 1, 0, 1, 4, 5, 6, 7, 8, 9, 10, 11])
    with pytest.raises(ValueError, match="'a' has 5 independent pairs: two halves need at least 6"):
        split(ts.Comparison(pairs, "a", "b", pairs="pair"))


def test_random_halves_need_groups_enough():
    data = with_items(40, shared_words=np.repeat(np.arange(20), 2) // 4 * 2 + np.tile([0, 1], 20))
    with pytest.raises(ValueError, match="'a' has 5 independent groups: two halves need at least 6"):
        next(ts.Comparison(data, "a", "b").halves(1))


def test_halves_of_a_readout_are_readouts_of_the_halves():
    comparison = ts.Comparison(responses(cortex(), effect=0.5), "a", "b")
    for (seen, *_), (raw, *_) in (
        (comparison.readout(2.0).even_and_odd(), comparison.even_and_odd()),
        (next(comparison.readout(2.0).halves(1)), next(comparison.halves(1))),
    ):
        assert seen.fwhm_mm == 2.0
        np.testing.assert_array_equal(seen.t, raw.readout(2.0).t)
        np.testing.assert_array_equal(seen.raw.t, raw.t)
        np.testing.assert_array_equal(seen.readout(1.0).t, raw.readout(1.0).t)


def goes_with_the_condition(seed, n=80):
    """White noise, and a confound that correlates with the condition by 0.9."""
    rng = np.random.default_rng(seed)
    sign = np.tile([1.0, -1.0], n // 2)
    level = 0.9 * sign + 0.436 * rng.normal(size=n)
    return to_stimuli(cortex(1, seed), rng.normal(size=(n, 144)), ["a", "b"] * (n // 2), level=level)


def test_maps_of_halves_that_have_their_own_fit_of_confounds_are_no_opposites():
    together, apart = [], []
    for seed in range(30):
        data = goes_with_the_condition(seed)
        comparison = ts.Comparison(data, "a", "b", confounds=["level"])
        one, other = next(comparison.halves(1, seed))
        apart.append(np.corrcoef(one.t, other.t)[0, 1])
        everything = np.ones(80, dtype=bool)
        fitted = without_confounds(data, comparison.contrast, ["level"], [everything])
        one, other = next(ts.Comparison(fitted, "a", "b").halves(1, seed))
        together.append(np.corrcoef(one.t, other.t)[0, 1])
    assert abs(np.mean(apart)) < 3 * np.std(apart) / np.sqrt(30)
    assert abs(np.mean(apart)) < 0.05
    assert np.mean(together) < -0.3


def test_confounds_of_a_half_are_fitted_to_its_texts_alone():
    comparison = ts.Comparison(goes_with_the_condition(0), "a", "b", confounds=["level"])
    changed = goes_with_the_condition(0)
    one, other = next(comparison.halves(1))
    rows = np.isin(changed["level"].values, other.responses["level"].values)
    changed.values[rows] += 10 * np.random.default_rng(1).normal(size=(40, 144))
    same, changed = next(ts.Comparison(changed, "a", "b", confounds=["level"]).halves(1))
    np.testing.assert_array_equal(same.t, one.t)
    assert (changed.t.values != other.t.values).all()


def test_a_half_has_the_t_of_what_regressions_of_its_even_and_of_its_odd_texts_leave():
    comparison = ts.Comparison(goes_with_the_condition(0), "a", "b", confounds=["level"])
    raw = goes_with_the_condition(0)
    for half in next(comparison.halves(1)):
        rows = np.isin(raw["level"].values, half.responses["level"].values)
        level, left = raw["level"].values[rows], raw.values[rows].astype(float)
        for part in half.half_masks:
            slope, constant = np.polyfit(level[part], left[part], 1)
            left[part] -= np.outer(level[part], slope) + constant
        expected = stats.ttest_ind(left[half.design.in_a], left[half.design.in_b], equal_var=False).statistic * np.sqrt(
            35 / 38
        )
        np.testing.assert_allclose(half.t, expected, rtol=1e-4, atol=1e-5)  # three parameters more than Welch's two


def test_halves_of_a_half_are_no_opposites_where_a_confound_goes_with_the_condition():
    r = []
    for seed in range(30):
        comparison = ts.Comparison(goes_with_the_condition(seed, n=80), "a", "b", confounds=["level"])
        even, odd = next(comparison.halves(1, seed))[0].even_and_odd()
        r.append(np.corrcoef(even.t, odd.t)[0, 1])
    assert abs(np.mean(r)) < 0.1


def test_halves_of_a_negative_control_of_a_comparison_with_confounds_are_refused():
    data = goes_with_the_condition(0)
    comparison = ts.Comparison(data, "a", "b", confounds=["level"])
    control = ts.negative_controls(comparison)["random-labels"]
    with pytest.raises(ValueError, match="split the comparison first"):
        next(control.halves(1))


@pytest.mark.parametrize("split", [lambda c: c.even_and_odd(), lambda c: next(c.halves(1))])
def test_halves_of_three_groups_are_refused(split):
    data = noise(0, n=24, shared_words=np.repeat(np.arange(6), 4))
    data = data.assign_coords(condition=("stimulus", np.repeat(["a", "b"], 12)))
    with pytest.raises(ValueError, match="the condition 'a' has 3 independent groups: two halves need at least 6"):
        split(ts.Comparison(data, "a", "b"))
