import numpy as np
import pytest
from tests.cortex.planted import language_comparison, localizer, network_responses

import toposheet as ts


def test_confounds_are_taken_out_of_responses(topo):
    data = localizer(topo, effect=0.0)
    texts = ["long words everywhere" if c == "sentence" else "as is" for c in data["condition"].values]
    rng = np.random.default_rng(3)
    n_tokens = np.where(data["condition"] == "sentence", 9.0, 4.0) + rng.normal(size=48)
    data = data.assign_coords(text=("stimulus", texts), n_tokens=("stimulus", n_tokens))
    data.values[:] += n_tokens[:, None]
    assert abs(language_comparison(data).t).median() > 5
    assert abs(language_comparison(data, confounds=["tokens"]).t).median() < 1.5
    assert language_comparison(data, confounds=[]).responses.equals(data)
    with pytest.raises(ValueError, match="no confound 'colour'; the confounds are: length, frequency, tokens"):
        language_comparison(data, confounds=["colour"])
    with pytest.raises(ValueError, match="values that are not finite numbers"):
        language_comparison(data, confounds=["text"])


def test_a_third_condition_is_no_confound(topo):
    # c responds strongly and is long; a and b differ in length alone, to which nothing responds.
    data = network_responses(topo, list("abc") * 30, {"a": 0.0, "b": 0.0, "c": 5.0})
    length = np.select([data["condition"] == c for c in "abc"], [10.0, 12.0, 20.0]) + np.tile([-1.0, 0.0, 1.0], 30)
    data = data.assign_coords(syllables=("stimulus", length + np.random.default_rng(0).normal(size=90)))
    left = ts.Comparison(data, "a", "b", confounds=["syllables"])
    assert set(left.responses["condition"].values) == {"a", "b"}
    assert (left.q < 0.05).mean() < 0.02


def test_t_without_confounds_is_that_of_the_regression_where_they_are_balanced(topo):
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    data = localizer(topo, effect=0.4)
    confounds = np.repeat(rng.normal(size=(24, 2)), 2, axis=0)  # the same in both conditions
    data.values[:] += confounds @ rng.normal(size=(2, data.sizes["unit"]))
    data = data.assign_coords(one=("stimulus", confounds[:, 0]), two=("stimulus", confounds[:, 1]))
    t = language_comparison(data, confounds=["one", "two"]).t.values
    even = (np.arange(48) // 2 % 2 == 0)[:, None]  # of each condition; halves have slopes of their own
    design = [data["condition"].values[:, None] == "sentence", even, confounds * even, confounds * ~even]
    design = sm.add_constant(np.column_stack(design).astype(float))
    expected = [sm.OLS(data.values[:, unit].astype(float), design).fit().tvalues[1] for unit in range(40)]
    np.testing.assert_allclose(t[:40], expected, rtol=1e-4, atol=1e-4)


def test_few_texts_a_confound_are_refused(topo):
    data = localizer(topo).assign_coords({f"c{i}": ("stimulus", np.arange(48.0) ** i) for i in range(3)})
    with pytest.raises(
        ValueError, match="3 confounds and 48 texts in sentence:nonword: use at most one confound per 20 texts"
    ):
        language_comparison(data, confounds=["c0", "c1", "c2"])


def test_a_confound_named_twice_is_one(topo):
    data = localizer(topo).assign_coords(level=("stimulus", np.random.default_rng(0).normal(size=48)))
    once, twice = (language_comparison(data, confounds=["level"] * n) for n in (1, 2))
    np.testing.assert_array_equal(once.t, twice.t)


def test_the_fit_follows_groups_and_pairs_which_are_not_split_between_even_and_odd(topo):
    # Even and odd texts have slopes of opposite sign: only a fit by these very halves takes all of it out.
    level = np.random.default_rng(0).normal(size=48)
    group = np.arange(48) // 8 * 2 + np.arange(48) % 2  # four texts of one condition
    pair = np.random.default_rng(1).permutation(24)[np.arange(48) // 2]
    data = localizer(topo, effect=0.0)
    data = data.assign_coords(level=("stimulus", level), shared_words=("stimulus", group), pair=("stimulus", pair))
    noise = data.values.copy()
    for options in ({}, {"groups": None}, {"groups": None, "pairs": "pair"}):
        even, _ = language_comparison(data, **options).half_masks
        slope = np.where(even, 10.0, -10.0)
        left = language_comparison(data.copy(data=noise + (slope * level)[:, None]), confounds=["level"], **options)
        assert left.responses.values.std() < 1.1, options


def test_a_confound_of_a_contrast_that_takes_its_labels_from_another_column(topo):
    data = localizer(topo)
    sides = np.where(data["condition"] == "sentence", "left", "right")
    data = data.assign_coords(
        side=("stimulus", sides), level=("stimulus", np.random.default_rng(0).normal(size=48)),
        condition=("stimulus", ["x"] * 48),
    )  # fmt: skip
    contrast = ts.Contrast("left", "right", column="side", where=("condition", "x"))
    expected = ts.Comparison(data.assign_coords(condition=data["side"]), "left", "right", confounds=["level"])
    comparison = ts.Comparison(data, contrast, confounds=["level"])
    np.testing.assert_array_equal(comparison.t, expected.t)
    one, _ = next(comparison.halves(1))
    np.testing.assert_array_equal(one.t, next(expected.halves(1))[0].t)


def test_a_unit_that_only_responds_to_the_confound_is_silent_afterwards(topo):
    data = localizer(topo)
    level = np.where(data["condition"] == "sentence", 3.0, 0.0) + np.random.default_rng(0).normal(size=48)
    data.values[:, :9] = 100 + 0.3 * level[:, None]
    comparison = language_comparison(data.assign_coords(level=("stimulus", level)), confounds=["level"])
    assert np.isnan(comparison.t.values[:9]).all()
    assert np.isfinite(comparison.t.values[9:]).all()
    for half in comparison.even_and_odd():
        assert np.isnan(half.t.values[:9]).all()


def test_a_confound_that_is_the_condition_in_a_half_is_refused(topo):
    data = localizer(topo)
    in_a = (data["condition"] == "sentence").values
    even = np.arange(48) // 2 % 2 == 0
    level = np.where(even, in_a, np.random.default_rng(0).normal(size=48))
    with pytest.raises(ValueError, match="level tells the conditions 'sentence' and 'nonword' apart exactly"):
        language_comparison(data.assign_coords(level=("stimulus", level)), confounds=["level"])


def test_a_comparison_says_that_little_remains_after_a_confound_that_is_nearly_the_condition(topo):
    data = localizer(topo)
    level = 9.0 * (data["condition"] == "sentence").values + np.random.default_rng(0).normal(size=48)
    notes = language_comparison(data.assign_coords(level=("stimulus", level)), confounds=["level"]).notes
    assert any("of the condition, so little of the contrast remains after the regression" in note for note in notes)
