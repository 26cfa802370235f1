"""Halves of the texts: against two comparisons for each split, and against maps whose reliability is known."""

import numpy as np
import pandas as pd
import pytest
from tests.cortex.planted import compared, cortex, noise, responses

import toposheet as ts
from toposheet.cortex.split_halves import split_halves
from toposheet.stats import cross_morans_i, t_test

COLUMNS = ["value", "low", "high"]
STATISTICS = ("cross_half_i", "half_correlation", "ceiling")


def table(comparison, **options):
    return split_halves(comparison, **options).drop(columns="sheet").set_index(["statistic", "tap"])


def agreement(taps, first, second):
    """Cross-half I and the correlation of two maps, for each tap and as mean over taps: (2, taps + 1)."""
    rows = [
        [cross_morans_i(*(tap.map(x) for x in (first, second))), np.corrcoef(first[tap.units], second[tap.units])[0, 1]]
        for tap in taps
    ]
    return np.vstack([rows, np.mean(rows, axis=0)]).T


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["texts", "groups", "pairs", "unequal"])
def test_the_values_are_those_of_a_comparison_of_each_half(kind, fwhm):
    columns = {
        "texts": {},
        "groups": {"shared_words": np.arange(40) % 2 + 2 * (np.arange(40) // 4)},
        "pairs": {"pair": np.arange(40) // 2},
        "unequal": {},
    }[kind]
    data = responses(cortex(), effect=0.6, n=20).assign_coords(
        {name: ("stimulus", column) for name, column in columns.items()}
    )
    if kind == "unequal":
        data = data.isel(stimulus=np.r_[0:20, 21:40:2])
    comparison = ts.Comparison(data, "a", "b", pairs="pair" if kind == "pairs" else None).readout(fwhm)
    halves = [(first.t.values, second.t.values) for first, second in comparison.halves(7, seed=3)]
    values = np.array([agreement(comparison.layouts, *maps) for maps in halves])
    result = table(comparison, splits=7, seed=3, null=False)
    for which, statistic in enumerate(("cross_half_i", "half_correlation")):
        expected = [function(values[:, which], axis=0) for function in (np.mean, np.min, np.max)]
        np.testing.assert_allclose(result.loc[statistic, COLUMNS], np.transpose(expected), rtol=1e-5)
    r = values[:, 1].mean(axis=0)
    np.testing.assert_allclose(result.loc["ceiling", "value"], np.sqrt(2 * r / (1 + r)), rtol=1e-5)
    assert result["label_null_mean"].isna().all()


def test_the_null_is_the_same_mean_over_splits_in_draws_without_effect():
    data = responses(cortex(1), effect=0.6, n=10).isel(stimulus=slice(0, 17))
    comparison = ts.Comparison(data, "a", "b")
    draws = []
    items, weights = comparison.design.null(comparison.items, 9, np.random.default_rng(5).spawn(1)[0])
    for draw in range(9):
        values = []
        for order in comparison.random_orders(4, 5):
            first, second = comparison.design.halves(order)
            maps = [t_test(items, [sample[draw] * half for sample in weights]).t for half in (first, second)]
            values.append(agreement(comparison.layouts, *maps))
        draws.append(np.mean(values, axis=0))
    result = table(comparison, splits=4, seed=5)
    for which, statistic in enumerate(("cross_half_i", "half_correlation")):
        row = result.loc[(statistic, "*")]
        assert row["label_null_mean"] == pytest.approx(np.mean(draws, axis=0)[which, -1])
        assert row["label_null_sd"] == pytest.approx(np.std(draws, axis=0, ddof=1)[which, -1])


def test_an_effect_comes_back_and_noise_does_not():
    strong, none = (table(compared(effect=effect)).xs("*", level="tap") for effect in (1.5, 0.0))
    for statistic in ("cross_half_i", "half_correlation"):
        assert strong.loc[statistic, "low"] > 0.3
        assert abs(strong.loc[statistic, "label_null_mean"]) < 0.05
        assert none.loc[statistic, "low"] < 0 < none.loc[statistic, "high"]
    assert strong.loc["ceiling", "value"] > 0.9


def test_the_ceiling_is_the_correlation_with_a_map_without_noise():
    rng, ceilings, correlations = np.random.default_rng(0), [], []
    for seed in range(30):
        data = noise(seed, n=40)
        effect = 0.4 * rng.normal(size=64)
        data.values[data["condition"].values == "a"] += effect
        comparison = ts.Comparison(data, "a", "b")
        ceilings.append(table(comparison, null=False).loc[("ceiling", "*"), "value"])
        correlations.append(np.corrcoef(comparison.t.values, effect)[0, 1])
    assert np.nanmean(ceilings) == pytest.approx(np.mean(correlations), abs=0.03)
    assert 0.6 < np.mean(correlations) < 0.9


def test_halves_do_not_depend_on_the_order_of_the_texts_in_the_table():
    data = responses(cortex(), effect=0.6, n=20)
    data = data.assign_coords(text=("stimulus", [f"text {number}" for number in range(40)]))
    other = data.isel(stimulus=np.random.default_rng(1).permutation(40))
    one, two = (table(ts.Comparison(responses, "a", "b"), null=False) for responses in (data, other))
    pd.testing.assert_frame_equal(one, two, rtol=1e-6)
    halves = [ts.Comparison(responses, "a", "b").even_and_odd() for responses in (data, other)]
    first, second = ([set(half.responses["text"].values.tolist()) for half in pair] for pair in halves)
    assert first == second
    localized = [ts.localize(ts.Comparison(responses, "a", "b"), items="odd")["t"] for responses in (data, other)]
    np.testing.assert_allclose(*localized, rtol=1e-5)


@pytest.mark.parametrize("kind", ["texts", "groups", "pairs", "unequal"])
def test_the_null_of_halves_does_not_depend_on_the_order_of_the_texts_in_the_table(kind):
    data = responses(cortex(), effect=0.6, n=20).astype(float)
    data = data.assign_coords(text=("stimulus", [f"text {number:02}" for number in range(40)]))
    if kind == "groups":
        data = data.assign_coords(shared_words=("stimulus", np.arange(40) % 2 + 2 * (np.arange(40) // 4)))
    if kind == "pairs":
        data = data.assign_coords(pair=("stimulus", np.arange(40) // 2))
    if kind == "unequal":
        data = data.isel(stimulus=np.r_[0:20, 21:40:2])
    other = data.isel(stimulus=np.random.default_rng(1).permutation(data.sizes["stimulus"]))
    pairs = "pair" if kind == "pairs" else None
    one, two = (table(ts.Comparison(texts, "a", "b", pairs=pairs)) for texts in (data, other))
    assert one["label_null_mean"].notna().any()
    pd.testing.assert_frame_equal(one, two, rtol=0, atol=1e-12)


def test_halves_of_a_negative_control_of_a_comparison_with_confounds_have_no_values():
    data = responses(cortex(), effect=0.6, n=30)
    data = data.assign_coords(
        level=("stimulus", np.random.default_rng(0).normal(size=60)), text=("stimulus", ["word" * n for n in range(60)])
    )
    controls = ts.negative_controls(ts.Comparison(data, "a", "b", confounds=["level"]))
    assert {"random-labels", "length"} <= set(controls)
    for control in controls.values():
        for comparison in (control, control.readout(2.0)):
            result = table(comparison)
            assert result.index.get_level_values("statistic").unique().tolist() == [*STATISTICS]
            assert result.isna().all(axis=None)
            statistics = ts.topography_statistics(control, permutations=2)
            assert statistics.loc[statistics["statistic"].isin(STATISTICS), "value"].isna().all()
            assert np.isfinite(statistics.loc[statistics["statistic"] == "morans_i", "value"]).all()
    for control in ts.negative_controls(ts.Comparison(data, "a", "b")).values():
        assert np.isfinite(table(control).loc["cross_half_i", COLUMNS]).all(axis=None)


def test_halves_of_too_few_texts_have_no_values():
    assert table(ts.Comparison(noise(0, n=6), "a", "b"))[COLUMNS].isna().all(axis=None)  # one text in a half


def test_units_that_are_silent_in_a_half_are_left_out():
    data = noise(0, n=20)
    data.values[:] = np.maximum(data.values - 1.5, 0)
    comparison = ts.Comparison(data, "a", "b")
    assert all(np.isnan(half.t).any() for half in comparison.even_and_odd())
    assert np.isfinite(table(comparison).loc["cross_half_i", COLUMNS]).all(axis=None)


def test_with_confounds_the_halves_with_their_regressions_are_the_only_split():
    data = responses(cortex(), effect=0.6, n=30)
    data = data.assign_coords(level=("stimulus", np.random.default_rng(0).normal(size=60)))
    comparison = ts.Comparison(data, "a", "b", confounds=["level"])
    maps = (half.t.values for half in comparison.even_and_odd())
    result = table(comparison).loc["cross_half_i"]
    expected = agreement(comparison.layouts, *maps)[0]
    for column in COLUMNS:
        np.testing.assert_allclose(result[column], expected, rtol=1e-5)
    assert result["label_null_mean"].isna().all()
