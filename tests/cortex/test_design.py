import numpy as np
import pytest
from tests.cortex.planted import noise

import toposheet as ts


def labels(comparison, permutations=200):
    return comparison.shuffled_labels(permutations, np.random.default_rng(0))


def test_texts_without_a_group_stand_for_themselves():
    data = noise(0, n=8)
    expected = ts.Comparison(data, "a", "b").p
    for blank in ([""] * 8, [np.nan] * 8):
        alone = data.assign_coords(shared_words=("stimulus", blank))
        np.testing.assert_allclose(ts.Comparison(alone, "a", "b").p, expected)


def test_groups_may_be_any_column_and_can_be_left_out():
    groups = np.repeat([3, 1, 2, 5, 4, 0], [4, 1, 3, 2, 5, 1])
    data = noise(0, item=groups, shared_words=np.arange(16)).assign_coords(
        condition=("stimulus", np.where(np.isin(groups, [3, 2, 4]), "a", "b"))
    )
    by_item = ts.Comparison(data, "a", "b", groups="item")
    for labelling in labels(by_item):
        for group in range(6):
            assert (labelling[:, groups == group] == labelling[:, groups == group][:, :1]).all()
    renamed = data.drop_vars("shared_words").rename(item="shared_words")
    np.testing.assert_array_equal(by_item.p, ts.Comparison(renamed, "a", "b").p)
    without = ts.Comparison(data, "a", "b", groups=None)
    assert without.groups is None
    assert (without.p.values != by_item.p.values).all()
    np.testing.assert_array_equal(without.t, by_item.t)


def test_shuffled_labels_change_places_within_pairs_only():
    pair = np.random.default_rng(1).permutation(np.repeat(np.arange(3), 2))
    first = np.isin(np.arange(6), np.unique(pair, return_index=True)[1])
    data = noise(0, n=6, pair=pair).assign_coords(condition=("stimulus", np.where(first, "a", "b")))
    in_a, in_b = labels(ts.Comparison(data, "a", "b", pairs="pair"))
    assert (in_a ^ in_b).all()
    for one in range(3):
        assert (in_a[:, pair == one].sum(axis=1) == 1).all()
    assert len(np.unique(in_a, axis=0)) == 2**3  # every way to toss three coins
    assert np.abs(in_a.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(200)


def test_labels_of_pairs_whose_texts_share_words_change_together_so_that_groups_stay_within_conditions():
    pair, words = np.repeat(np.arange(8), 2), np.arange(16)
    words[2], words[5] = words[0], words[3]  # pairs 0 and 1 by their first texts, 1 and 2 by their second
    comparison = ts.Comparison(noise(0, pair=pair, shared_words=words), "a", "b", pairs="pair")
    in_a, in_b = labels(comparison, 1000)
    for group in np.unique(words):
        assert (in_a[:, words == group] == in_a[:, words == group][:, :1]).all()
    assert (in_a.sum(axis=1) == in_b.sum(axis=1)).all()
    assert len(np.unique(in_a, axis=0)) == 2**6


def test_what_partners_have_in_common_makes_no_spread_of_the_null_of_pairs():
    # A strong common part that pairs share, and a weak effect: labels dealt out freely hide it, those of pairs do not.
    rng = np.random.default_rng(2)
    data = noise(0, n=40, pair=np.repeat(np.arange(20), 2))
    data.values[:] += 5 * np.repeat(rng.normal(size=(20, 1)), 2, axis=0)
    data.values[::2] += 0.5
    result = {}
    for pairs in (None, "pair"):
        comparison = ts.Comparison(data, "a", "b", pairs=pairs)
        draws = comparison.test(*labels(comparison))[0].t.mean(axis=1)
        result[pairs] = (np.abs(draws) >= abs(float(comparison.t.mean()))).mean()
    assert result["pair"] <= 0.01
    assert result[None] > 0.3


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ([0, 0, 1, 1, 2, 2, 3, 4], "2 of 5 pairs are not complete: a pair is one stimulus of each condition"),
        ([0, 1, 0, 1, 2, 2, 3, 3], "2 of 4 pairs are not complete"),
        ([0, 0, 0, 0, 1, 1, 2, 2], "1 of 3 pairs are not complete"),
        ([0, 0, 1, 1, 2, 2, 3, 0], "2 of 4 pairs are not complete"),
        (["x", "x", "y", "y", "z", "z", "", ""], "2 of 5 pairs are not complete"),
    ],
)
def test_pairs_that_are_none_are_refused_in_one_line(pair, message):
    with pytest.raises(ValueError, match=message) as error:
        ts.Comparison(noise(0, n=8, pair=pair), "a", "b", pairs="pair")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["groups", "pairs"])
def test_a_column_that_stimuli_do_not_have_is_refused_with_those_that_they_have(option):
    with pytest.raises(ValueError, match="the stimulus set has no column 'colour'; it has: condition, item"):
        ts.Comparison(noise(0, item=np.arange(16)), "a", "b", **{option: "colour"})
    with pytest.raises(ValueError, match="the stimulus set has no column 'tap'"):
        ts.Comparison(noise(0), "a", "b", **{option: "tap"})


def test_a_group_in_both_conditions_or_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="the two conditions share a value of the column"):
        ts.Comparison(noise(0, shared_words=np.repeat(np.arange(8), 2)), "a", "b")
    words = np.where(np.arange(16) % 2 == 0, np.arange(16) // 8 * 100, np.arange(16))
    with pytest.raises(ValueError, match="2 and 8 groups"):
        ts.Comparison(noise(0, shared_words=words), "a", "b")
