import importlib

import numpy as np
import pytest
from tests.cortex.planted import SIDE, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.cortex.layout import shuffled_places, tap_layouts
from toposheet.cortex.response_statistics import RESPONSES
from toposheet.sheet import one_sheet


def test_responses_have_statistics_whatever_their_conditions():
    data = responses(cortex(), smooth=3.0)
    table = ts.response_statistics(data, permutations=19)
    assert list(table) == list(RESPONSES.columns)
    assert table["statistic"].unique().tolist() == ["participation_ratio", "bimodality", "smoothness_mm", "wiring_mm"]
    assert table["tap"].tolist() == ["tap0", "tap1", "*"] * 4
    assert (table["fwhm_mm"] == 0).all()
    other = data.assign_coords(condition=("stimulus", ["x"] * 80))
    assert ts.response_statistics(other, permutations=19).equals(table)


def test_smooth_responses_are_wired_shorter_than_chance_and_dimensions_know_no_places():
    rows = ts.response_statistics(responses(cortex(), smooth=3.0), permutations=19).set_index(["statistic", "tap"])
    assert (rows.loc["wiring_mm", "p"] == 0.05).all()
    assert (rows.loc["smoothness_mm", "p"] == 0.05).all()
    for name in ("participation_ratio", "bimodality"):
        assert rows.loc[name, ["null_mean", "p", "label_p"]].isna().all(axis=None)
    assert rows["label_p"].isna().all()


@pytest.mark.parametrize("fwhm", [0.0, 3.0])
def test_the_correlation_by_distance_is_the_mean_over_all_pairs_at_that_distance(fwhm):
    data = responses(cortex(1), smooth=fwhm, n=20)
    curve = ts.correlation_curve(data, permutations=9)
    curve = curve[curve["tap"] == "tap0"].set_index("distance_mm")
    r = np.corrcoef(data.values.T.astype(float))
    place = np.stack([data["y"].values, data["x"].values], axis=1)
    steps = place[:, None] - place[None]
    rounded = np.round(np.hypot(steps[..., 0], steps[..., 1]))
    for distance in (1.0, 2.0, 5.0):
        pairs = np.triu(rounded == distance, 1)
        assert curve.loc[distance, "r"] == pytest.approx(r[pairs].mean(), abs=1e-4)
    assert len(np.unique(place, axis=0)) == SIDE**2


@pytest.mark.parametrize("equal_places", [True, False])
def test_the_null_of_the_mean_curve_is_the_mean_of_the_draws_of_all_taps(equal_places):
    data = responses(cortex(), smooth=3.0)
    half = data.sizes["unit"] // 2
    if equal_places:  # two layers of one residual stream: their units respond alike, at the same places
        for name in ("y", "x"):
            data[name].values[half:] = data[name].values[:half]
        data.values[:, half:] = data.values[:, :half]
    curve = ts.correlation_curve(data, permutations=29, seed=3)
    layouts, distance = tap_layouts(data), 1.0
    draws = np.zeros((2, 29))
    for tap, orders, of_tap in zip(layouts, shuffled_places(layouts, 29, np.random.default_rng(3)), draws, strict=True):
        r = np.corrcoef(data.values[:, tap.units].T.astype(float))
        steps = tap.cells[:, None] - tap.cells[None]
        near = np.triu(np.round(np.hypot(steps[..., 0], steps[..., 1])) == distance, 1)
        for n, order in enumerate(orders):
            of_tap[n] = r[np.ix_(order, order)][near].mean()
    rows = curve[curve["distance_mm"] == distance].set_index("tap")
    assert rows.index.tolist() == ["tap0", "tap1", "*"]
    assert rows.loc["*", "r"] == pytest.approx(rows["r"].iloc[:2].mean())
    assert rows.loc["*", "null_mean"] == pytest.approx(draws.mean(), abs=1e-5)
    assert rows.loc["*", "null_sd"] == pytest.approx(draws.mean(axis=0).std(ddof=1), rel=1e-3)
    assert rows["null_sd"].tolist()[:2] == pytest.approx(draws.std(axis=1, ddof=1), rel=1e-3)
    assert (rows.loc["*", "null_sd"] == pytest.approx(rows.loc["tap0", "null_sd"])) == equal_places


def two_bands(rng, shared_signal):
    """Responses of two taps of 60 units in bands of one sheet. The rows of cells on both sides of the border may share
    a signal.
    """
    topo = ts.Topography({"cortex": one_sheet({"a": 60, "b": 60}, "bands", (12, 10), 1.0, rng)})
    y = topo.unit_coordinates()["y"][1]
    values = rng.normal(size=(40, 120))
    values[:, (y == 5) | (y == 6)] += shared_signal * rng.normal(size=(40, 1))
    return to_stimuli(topo, values, ["x"] * 40)


def test_a_sheet_with_several_taps_has_pairs_across_its_taps_and_a_null_within_them(rng):
    data = two_bands(rng, 2.0)
    curve = ts.correlation_curve(data, permutations=19).set_index(["sheet", "tap"])
    r = np.corrcoef(data.values.T.astype(float))
    place = np.stack([data["y"].values, data["x"].values], axis=1)
    steps = place[:, None] - place[None]
    near = np.triu(np.round(np.hypot(steps[..., 0], steps[..., 1])) == 1, 1)
    of_sheet = curve.loc[("cortex", "*")]
    assert of_sheet["distance_mm"].is_unique
    assert of_sheet.set_index("distance_mm").loc[1.0, "r"] == pytest.approx(r[near].mean(), abs=1e-5)
    table = ts.response_statistics(data, permutations=19).set_index(["sheet", "tap", "statistic"])
    taps = [tap for sheet, tap, _ in table.index[table.index.get_level_values(2) == "bimodality"]]
    assert taps == ["a", "b", "*", "*"]
    assert table.loc[("cortex", "*", "wiring_mm"), "p"] == 0.05
    assert table.loc[("cortex", "*", "wiring_mm"), "n_units"] == 120
    means = [table.loc[("cortex", tap, "smoothness_mm"), "value"] for tap in ("a", "b")]
    assert table.loc[("*", "*", "smoothness_mm"), "value"] == pytest.approx(np.mean(means))


def test_the_null_of_a_sheet_keeps_each_unit_in_its_tap(rng):
    data = two_bands(rng, 0.0)
    signal = rng.normal(size=(40, 1))
    data.values[:, data["tap"].values == "a"] += 3 * signal.astype(np.float32)  # a border, but no order in any tap
    table = ts.response_statistics(data, permutations=39).set_index(["sheet", "tap", "statistic"])
    assert table.loc[("cortex", "*", "wiring_mm"), "p"] > 0.05
    assert table.loc[("cortex", "*", "smoothness_mm"), "p"] > 0.05


def test_of_a_large_sheet_a_sample_of_units_counts(rng, monkeypatch):
    data = two_bands(rng, 3.0)
    whole = ts.response_statistics(data, permutations=19).set_index(["tap", "statistic"])["value"]
    monkeypatch.setattr(importlib.import_module("toposheet.cortex.response_statistics"), "MOST_UNITS", 80)
    some = ts.response_statistics(data, permutations=19)
    assert some.loc[some["sheet"] == "cortex", "n_units"].tolist() == [60, 60, 120] * 4
    some = some[some["sheet"] == "cortex"].set_index(["tap", "statistic"])["value"]
    assert some[("a", "wiring_mm")] == whole[("a", "wiring_mm")]
    assert some[("*", "wiring_mm")] != whole[("*", "wiring_mm")].iloc[0]
    assert some[("*", "wiring_mm")] == pytest.approx(whole[("*", "wiring_mm")].iloc[0], rel=0.15)
