import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import noise

import toposheet as ts
from toposheet.stats import t_test


def test_texts_without_a_group_stand_for_themselves():
    data = noise(0, n=8)
    expected = ts.Comparison(data, "a", "b").p
    for blank in ([""] * 8, [np.nan] * 8):
        alone = data.assign_coords(shared_words=("stimulus", blank))
        np.testing.assert_allclose(ts.Comparison(alone, "a", "b").p, expected)


def in_groups(**columns):
    """Sixteen texts in six groups of unequal size."""
    groups = np.repeat([3, 1, 2, 5, 4, 0], [4, 1, 3, 2, 5, 1])
    data = noise(0, item=groups, shared_words=np.arange(16), **columns)
    return groups, data.assign_coords(condition=("stimulus", np.where(np.isin(groups, [3, 2, 4]), "a", "b")))


def test_every_statistic_is_that_of_the_means_of_groups():
    groups, data = in_groups()
    means = {group: data.values[groups == group].astype(float).mean(axis=0) for group in range(6)}
    a, b = (np.stack([means[group] for group in members]) for members in ((3, 2, 4), (1, 5, 0)))
    expected = stats.ttest_ind(a, b, equal_var=False)
    comparison = ts.Comparison(data, "a", "b", groups="item")
    np.testing.assert_allclose(comparison.t, expected.statistic, rtol=1e-6)
    np.testing.assert_allclose(comparison.p, expected.pvalue, rtol=1e-6)
    assert comparison.design.n_items == 6
    assert "12 texts 'a' against 4 'b' in 3 and 3 groups" in repr(comparison)


def test_groups_may_be_any_column_and_can_be_left_out():
    _, data = in_groups()
    by_item = ts.Comparison(data, "a", "b", groups="item")
    renamed = data.drop_vars("shared_words").rename(item="shared_words")
    np.testing.assert_array_equal(by_item.p, ts.Comparison(renamed, "a", "b").p)
    without = ts.Comparison(data, "a", "b", groups=None)
    assert without.design.groups is None
    x, in_a = data.values.astype(float), data["condition"].values == "a"
    np.testing.assert_allclose(without.t, stats.ttest_ind(x[in_a], x[~in_a], equal_var=False).statistic, rtol=1e-6)


def test_every_statistic_of_pairs_is_that_of_their_differences():
    pair = np.random.default_rng(1).permutation(np.repeat(np.arange(8), 2))
    first = np.isin(np.arange(16), np.unique(pair, return_index=True)[1])
    data = noise(0, pair=pair).assign_coords(condition=("stimulus", np.where(first, "a", "b")))
    comparison = ts.Comparison(data, "a", "b", pairs="pair")
    a, b = (data.values[mask][np.argsort(pair[mask])].astype(float) for mask in (first, ~first))
    expected = stats.ttest_rel(a, b)
    np.testing.assert_allclose(comparison.t, expected.statistic, rtol=1e-6)
    np.testing.assert_allclose(comparison.p, expected.pvalue, rtol=1e-6)
    np.testing.assert_allclose(comparison.d, (a - b).mean(axis=0) / (a - b).std(axis=0, ddof=1), rtol=1e-6)
    assert "8 texts 'a' against 8 'b' in 8 independent pairs" in repr(comparison)


def test_pairs_whose_texts_share_words_count_as_one_pair():
    pair, words = np.repeat(np.arange(8), 2), np.arange(16)
    words[2], words[5] = words[0], words[3]  # pairs 0 and 1 by their first texts, 1 and 2 by their second
    data = noise(0, pair=pair, shared_words=words)
    comparison = ts.Comparison(data, "a", "b", pairs="pair")
    assert comparison.design.n_items == 6
    differences = data.values[::2].astype(float) - data.values[1::2]
    joined = np.stack([differences[:3].mean(axis=0), *differences[3:]])
    np.testing.assert_allclose(comparison.t, stats.ttest_1samp(joined, 0.0).statistic, rtol=1e-6)


def test_an_item_whose_texts_are_alike_stays_silent():
    data = noise(0, shared_words=np.arange(16) // 4 * 2 + np.arange(16) % 2)
    data.values[:, 5] = np.float32(0.1)
    assert np.flatnonzero(np.isnan(ts.Comparison(data, "a", "b").t)).tolist() == [5]


def test_more_draws_than_there_are_different_ones_are_refused():
    three = ts.Comparison(noise(0, n=6), "a", "b")
    assert three.design.n_relabellings == 20
    with pytest.raises(ValueError, match="99 draws of a null are wanted, but 6 independent items have only 20"):
        ts.map_statistics(three)
    pairs = ts.Comparison(noise(0, n=8, pair=np.repeat(np.arange(4), 2)), "a", "b", pairs="pair")
    assert pairs.design.n_relabellings == 16
    with pytest.raises(
        ValueError, match=r"give at most --permutations 16 \(in Python: permutations=16\), or add texts"
    ):
        ts.selective_clusters(pairs)
    uneven = noise(0, n=8).assign_coords(condition=("stimulus", list("aaabbbbb")))
    assert ts.Comparison(uneven, "a", "b").design.n_relabellings == 2**8


def test_what_partners_have_in_common_makes_no_spread_of_the_null_of_pairs():
    # A strong common part that pairs share, and a weak effect: labels dealt out freely hide it, signs of pairs do not.
    rng = np.random.default_rng(2)
    data = noise(0, n=40, pair=np.repeat(np.arange(20), 2))
    data.values[:] += 5 * np.repeat(rng.normal(size=(20, 1)), 2, axis=0)
    data.values[::2] += 0.5
    result = {}
    for pairs in (None, "pair"):
        comparison = ts.Comparison(data, "a", "b", pairs=pairs)
        draws = t_test(*comparison.design.null(comparison.items, 200, np.random.default_rng(0))).t.mean(axis=1)
        result[pairs] = (np.abs(draws) >= abs(float(comparison.t.mean()))).mean()
    assert result["pair"] <= 0.01
    assert result[None] > 0.3


def test_deviations_with_random_signs_have_the_variance_of_the_mean_of_each_condition():
    # Residuals have the unbiased variance; the null is wider by n / (n - 1) (HC2 and HC3 of the econometricians).
    labels = np.array(list("a" * 5 + "b" * 27))
    data = noise(0, n=32).assign_coords(condition=("stimulus", labels))
    comparison = ts.Comparison(data, "a", "b")
    values, weights = comparison.design.null(comparison.items, 4000, np.random.default_rng(0))
    x = data.values.astype(float)
    for label, sample in zip("ab", weights, strict=True):
        n = (labels == label).sum()
        means = sample @ values / n
        unbiased = x[labels == label].var(axis=0, ddof=1) / n
        np.testing.assert_allclose((comparison.design.residuals(x)[labels == label] ** 2).sum(axis=0) / n**2, unbiased)
        np.testing.assert_allclose(means.var(axis=0), unbiased * n / (n - 1), rtol=0.15)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            [0, 0, 1, 1, 2, 2, 3, 4],
            "2 of 5 pairs of the column 'pair' are not complete: a pair is one text of each condition.* "
            "The value '3' has 1 text of 'a' and 0 texts of 'b'",
        ),
        ([0, 1, 0, 1, 2, 2, 3, 3], "2 of 4 pairs of the column.* The value '0' has 2 texts of 'a' and 0 texts of 'b'"),
        ([0, 0, 0, 0, 1, 1, 2, 2], "1 of 3 pairs of the column"),
        ([0, 0, 1, 1, 2, 2, 3, 0], "2 of 4 pairs of the column"),
        (["x", "x", "y", "y", "z", "z", "", ""], "the column 'pair' is empty in 2 texts of the contrast"),
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
    message = "the conditions 'a' and 'b' share the value '0' of the column 'shared_words'"
    with pytest.raises(ValueError, match=message):
        ts.Comparison(noise(0, shared_words=np.repeat(np.arange(8), 2)), "a", "b")
    words = np.where(np.arange(16) % 2 == 0, np.arange(16) // 8 * 100, np.arange(16))
    with pytest.raises(ValueError, match="the condition 'a' has 2 independent groups: a contrast needs at least 3"):
        ts.Comparison(noise(0, shared_words=words), "a", "b")
    whole = np.where(np.arange(16) % 2 == 0, "all of a", np.arange(16).astype(str))
    with pytest.raises(
        ValueError, match="all 8 texts of the condition 'a' have the same value in the column 'shared_words'"
    ):
        ts.Comparison(noise(0, shared_words=whole), "a", "b")


def test_an_empty_cell_of_the_pairs_is_named():
    pair = ["x", "x", "", "y", "y", "z", "z", "w", "w", "", "v", "v", "u", "u", "t", "t"]
    with pytest.raises(
        ValueError, match="the column 'pair' is empty in 2 texts of the contrast, the first is number 3"
    ):
        ts.Comparison(noise(0, pair=pair), "a", "b", pairs="pair")
