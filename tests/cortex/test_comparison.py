import html
import pickle
import re

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tests.cortex.planted import SIDE, compared, cortex, noise, responses, to_stimuli

import toposheet as ts
from toposheet.stimuli.contrasts import Contrast


def values_of(comparison):
    """Everything that is derived from a comparison, worked out now."""
    values = {name: getattr(comparison, name).values for name in ("t", "p", "q", "d")}
    values |= {"even": comparison.half_masks[0], "odd": comparison.half_masks[1], "items": comparison.items}
    values |= {f"layout {tap.name}": tap.units for tap in comparison.layouts}
    values |= {f"map {sheet}": grid.values for sheet, grid in comparison.maps().items()}
    values |= {f"labels {n}": labels for n, labels in enumerate(shuffled(comparison, 5))}
    return values | {f"coordinate {name}": values.values for name, values in comparison.unit_coordinates.items()}


def shuffled(comparison, permutations):
    return comparison.design.null(comparison.items, permutations, np.random.default_rng(0))[1]


def assert_same(one, other):
    first_values, second_values = values_of(one), values_of(other)
    assert first_values.keys() == second_values.keys()
    for name, values in first_values.items():
        np.testing.assert_array_equal(values, second_values[name], err_msg=name)


def test_t_p_and_d_are_those_of_scipy_and_q_is_over_all_taps_jointly():
    comparison = compared(effect=0.5)
    a, b = comparison.responses.values[::2], comparison.responses.values[1::2]
    expected = stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose(comparison.t, expected.statistic, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(comparison.p, expected.pvalue, rtol=1e-3)
    pooled = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
    np.testing.assert_allclose(comparison.d, (a.mean(axis=0) - b.mean(axis=0)) / pooled, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(comparison.q, stats.false_discovery_control(comparison.p.values))
    for name in ("t", "p", "q", "d"):
        assert set(getattr(comparison, name).coords) == {"tap", "sheet", "y", "x", "spacing_mm"}


def test_each_effect_size_has_an_interval_also_in_voxels_with_unequal_numbers_and_in_pairs():
    texts = compared(effect=1.0).responses
    for comparison, sizes in (
        (ts.Comparison(texts, "a", "b"), (40, 40)),
        (ts.Comparison(texts, "a", "b").readout(2.0), (40, 40)),
        (ts.Comparison(texts[np.r_[0:40, 41:80:2]], "a", "b"), (20, 40)),
        (ts.Comparison(texts.assign_coords(pair=("stimulus", np.arange(80) // 2)), "a", "b", pairs="pair"), (40,)),
    ):
        d, low, high = comparison.d, comparison.d_low, comparison.d_high
        assert ((low < d) & (d < high)).all()
        # Hedges & Olkin (1985): an approximate standard error.
        error = np.sqrt(sum(1 / n for n in sizes) + d**2 / (2 * sum(sizes)))
        np.testing.assert_allclose((high - low) / error, 2 * 1.96, rtol=0.05)
        assert low.name == "d_low"
        assert set(low.coords) == {"tap", "sheet", "y", "x", "spacing_mm"}


def test_a_silent_unit_has_no_interval():
    texts = compared().responses.copy()
    texts[:, 3] = 2.0
    comparison = ts.Comparison(texts, "a", "b")
    assert np.flatnonzero(np.isnan(comparison.d_low)).tolist() == [3]
    assert np.flatnonzero(np.isnan(comparison.d_high)).tolist() == [3]


def test_t_is_positive_where_a_is_larger_and_lies_on_the_map_where_it_was_planted():
    grid = compared(effect=3.0).maps()["tap0"]
    assert grid.dims == ("y", "x")
    assert float(grid[5, 6]) > 5


def test_a_planted_patch_is_found_where_it_is():
    comparison = compared(effect=1.5)
    result = cortex().to_grid(comparison.q)["tap0"].values < 0.05
    patch = np.zeros((SIDE, SIDE), bool)
    patch[2:8, 3:9] = True
    assert (result & patch).sum() / (result | patch).sum() > 0.8


def test_masks_follow_the_labels():
    comparison = compared(n=3)
    assert comparison.design.in_a.tolist() == [True, False] * 3
    assert (comparison.design.in_a != comparison.design.in_b).all()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("a", "c", "no condition 'c'; the conditions are: a, b"),
        ("a", "a", "compares 'a' with itself"),
        ("a", None, "name two conditions"),
        (Contrast("a", "b"), "b", "or give one Contrast"),
    ],
)
def test_conditions_that_are_not_there_list_those_that_are(a, b, message):
    with pytest.raises(ValueError, match=message):
        ts.Comparison(responses(cortex()), a, b)


def test_a_condition_of_two_texts_is_too_small():
    data = responses(cortex()).isel(stimulus=[0, 1, 2, 3, 5])
    with pytest.raises(ValueError, match="2 texts of the condition 'a': a contrast needs at least 3"):
        ts.Comparison(data, "a", "b")


def test_responses_that_are_not_finite_are_refused_by_tap():
    data = responses(cortex())
    data.values[3, 150] = np.nan
    with pytest.raises(
        ValueError,
        match=r"stimulus 3: a response in tap1 is not finite .*, and 1 of 80 texts have such responses: repair",
    ):
        ts.Comparison(data, "a", "b")


def test_a_third_condition_changes_nothing():
    data = responses(cortex())
    third = data.isel(stimulus=slice(0, 16)).copy(data=100 + data.values[:16])
    third = third.assign_coords(condition=("stimulus", ["c"] * 16))
    assert_same(ts.Comparison(xr.concat([data, third], dim="stimulus"), "a", "b"), ts.Comparison(data, "a", "b"))


def test_the_order_of_the_dimensions_changes_nothing():
    data = responses(cortex())
    assert_same(ts.Comparison(data.transpose("unit", "stimulus"), "a", "b"), ts.Comparison(data, "a", "b"))


def in_categories():
    """Responses to nouns and verbs, concrete and abstract ones; the last column is what the other test sets apart."""
    data = responses(cortex(), effect=1.0)
    kind = np.repeat(["concrete", "abstract"], 40)
    word = np.array(["noun", "verb", "noun", "noun", "verb"] * 16)
    return data.assign_coords(kind=("stimulus", kind), word=("stimulus", word))


def test_a_contrast_may_name_another_column_and_a_value_within_which_it_compares():
    data = in_categories()
    comparison = ts.Comparison(data, Contrast("noun", "verb", "word", where=("kind", "concrete")))
    assert comparison.name == comparison.contrast.name == "concrete noun:verb"
    assert comparison.t.attrs["contrast"] == "concrete noun:verb"
    kept = data.values[:40]
    noun = data["word"].values[:40] == "noun"
    expected = stats.ttest_ind(kept[noun], kept[~noun], equal_var=False).statistic
    np.testing.assert_allclose(comparison.t, expected, rtol=1e-3, atol=1e-5)
    assert comparison.responses["kind"].values.tolist() == ["concrete"] * 40


def test_a_contrast_within_a_value_of_a_column_is_that_of_those_texts_alone():
    data = in_categories()
    alone = ts.Comparison(data.isel(stimulus=slice(40, 80)), "a", "b")
    assert_same(ts.Comparison(data, Contrast("a", "b", where=("kind", "abstract"))), alone)


@pytest.mark.parametrize("contrast", [Contrast("a", "b", where=("category", "x")), Contrast("a", "b", "category")])
def test_a_column_that_is_not_there_is_refused_by_its_name(contrast):
    with pytest.raises(ValueError, match="no coordinate 'category'"):
        ts.Comparison(responses(cortex()), contrast)


def test_a_comparison_may_have_a_name_of_its_own():
    comparison = ts.Comparison(responses(cortex(), n=6), "a", "b", name="mine")
    assert comparison.name == comparison.t.attrs["contrast"] == "mine"
    assert ts.map_statistics(comparison, permutations=2)["contrast"].unique().tolist() == ["mine"]


def test_a_comparison_says_what_was_compared_and_how_many_units_are_significant():
    comparison = compared(effect=1.5)
    significant = int((stats.false_discovery_control(comparison.p.values) < 0.05).sum())
    assert 40 < significant < 100
    said = repr(comparison)
    assert "Comparison(a:b, raw): 40 texts 'a' against 40 'b'" in said
    assert f"{significant} of 288 units are significant ({significant / 288:.1%}, q < 0.05 over 2 taps)" in said
    assert (comparison.n_significant, comparison.n_units) == (significant, 288)
    assert len(said.splitlines()) == 3
    seen = comparison.readout(2.0)
    assert "(a:b, readout 2 mm)" in repr(seen)
    assert f"{int((seen.q < 0.05).sum())} of 288 units" in repr(seen)
    control = ts.negative_controls(seen)["random-labels"]
    assert "(a:b, random-labels, readout 2 mm): 40 texts 'random-a' against 40 'random-b'" in repr(control)
    assert html.unescape(re.sub("<.*?>", "", comparison._repr_html_())).startswith(said.splitlines()[0])


def test_silent_units_are_nan_and_no_others_are():
    data = responses(cortex())
    data.values[:, [3, 200]] = 0.25
    comparison = ts.Comparison(data, "a", "b")
    for name in ("t", "p", "q", "d"):
        assert np.flatnonzero(np.isnan(getattr(comparison, name))).tolist() == [3, 200]


def test_what_was_worked_out_before_is_not_taken_over_by_a_part_of_the_texts():
    comparison = ts.Comparison(in_categories(), "a", "b")
    values_of(comparison)
    values_of(comparison.readout(2.0))
    for rows, part in zip(comparison.half_masks, comparison.even_and_odd(), strict=True):
        fresh = ts.Comparison(comparison.responses.isel(stimulus=rows), "a", "b")
        assert_same(part, fresh)
        assert_same(part.readout(2.0), fresh.readout(2.0))


def test_what_was_worked_out_before_is_not_taken_over_by_other_labels():
    comparison = ts.Comparison(in_categories(), "a", "b")
    values_of(comparison)
    values_of(comparison.readout(2.0))
    labelled = comparison.responses.assign_coords(condition=("stimulus", np.repeat(["x", "y"], 40)))
    other = comparison.relabelled(labelled, Contrast("x", "y"), "halves of the table")
    fresh = ts.Comparison(labelled, "x", "y", name="a:b")
    assert_same(other, fresh)
    assert_same(other.readout(2.0), fresh.readout(2.0))
    assert (other.name, other.negative_control) == ("a:b", "halves of the table")


def test_what_was_worked_out_before_is_not_taken_over_by_a_readout():
    comparison = ts.Comparison(in_categories(), "a", "b")
    raw = values_of(comparison)
    seen = comparison.readout(2.0)
    assert_same(seen, ts.Comparison(seen.responses, "a", "b"))
    assert (seen.t.values != raw["t"]).any()


def test_a_comparison_does_not_change_what_it_was_made_of():
    data = noise(0, n=40, level=np.random.default_rng(0).normal(size=40))
    before = data.copy(deep=True)
    comparison = ts.Comparison(data, "a", "b", confounds=["level"])
    values_of(comparison.readout(2.0))
    ts.negative_controls(comparison)
    list(comparison.halves(1))
    xr.testing.assert_identical(data, before)


def test_p_is_nan_for_no_unit_because_another_text_is_large():
    comparison = ts.Comparison(to_stimuli(cortex(1), 1e4 + np.eye(12, SIDE**2), ["a", "b"] * 6), "a", "b")
    assert np.isfinite(comparison.p[:12]).all()


def test_a_comparison_can_be_sent_to_another_process():
    comparison = ts.Comparison(responses(cortex()), "a", "b")
    seen = comparison.readout(2.0)
    sent = pickle.loads(pickle.dumps(comparison))
    xr.testing.assert_identical(sent.t, comparison.t)
    xr.testing.assert_identical(sent.readout(2.0).t, seen.t)


def test_conditions_may_be_numbers_and_texts_without_a_condition_are_in_none():
    data = responses(cortex())
    numbers = np.where(data["condition"].values == "a", 0, 7)
    assert_same(
        ts.Comparison(data.assign_coords(condition=("stimulus", numbers)), "0", "7"), ts.Comparison(data, "a", "b")
    )
    with_gaps = np.where(np.arange(len(numbers)) < 4, None, data["condition"].values)
    with pytest.raises(ValueError, match=r"no condition 'typo'; the conditions are: (nan|None), a, b"):
        ts.Comparison(data.assign_coords(condition=("stimulus", with_gaps)), "a", "typo")


def test_a_response_that_is_not_finite_is_named_by_its_place_among_all_stimuli():
    data = responses(cortex())
    data = data.assign_coords(condition=("stimulus", ["c", *data["condition"].values[1:]]))
    data.values[3, 150] = np.inf
    with pytest.raises(ValueError, match="stimulus 3: a response in tap1"):
        ts.Comparison(data, "a", "b")


def test_a_comparison_says_what_its_tests_cannot_know():
    texts = [
        f"{'a' if i % 2 == 0 else 'b'}{i // 4} own{i}{'x' * (i % 7)}" for i in range(80)
    ]  # neighbours of a condition share a word
    columns = {"text": texts, "rating": np.arange(80.0), "half": np.arange(80) % 2 * 40 + np.arange(80) // 4}
    data = responses(cortex()).assign_coords({name: ("stimulus", values) for name, values in columns.items()})
    data = data.assign_coords(condition=("stimulus", np.tile(["a", "b"], 40)))
    comparison = ts.Comparison(data, "a", "b", confounds=("rating", "length"))
    sharing, confound = comparison.notes
    assert "40 of 40 texts of 'a' and 40 of 40 texts of 'b' share many content words" in sharing
    assert confound.startswith("if the values of 'rating' are estimates, as frequencies, ratings and norms are, a part")
    assert repr(comparison).count("note: ") == 2
    assert comparison.readout(2.0).notes == comparison.notes
    assert all(control.notes == () for control in ts.negative_controls(comparison).values())
    assert ts.Comparison(data, "a", "b", groups="half").notes == ()


def test_fewer_than_ten_items_of_a_condition_are_noted():
    data = responses(cortex(), n=9)
    assert (
        ts.Comparison(data, "a", "b")
        .notes[0]
        .startswith("'a' has 9 independent texts and 'b' has 9 independent texts, fewer ")
    )
    grouped = responses(cortex(), n=40)
    conditions = (grouped["condition"].values == "a") * 100
    grouped = grouped.assign_coords(g=("stimulus", conditions + np.arange(80) % 9))
    assert "independent groups, fewer than 10" in ts.Comparison(grouped, "a", "b", groups="g").notes[0]
