import numpy as np
import pytest
from tests.cortex.planted import SIDE, cortex, responses

import toposheet as ts
from toposheet.cortex.layout import shuffled_places, tap_layouts
from toposheet.cortex.response_statistics import RESPONSES


def test_responses_have_statistics_whatever_their_conditions():
    data = responses(cortex(), smooth=3.0)
    table = ts.response_statistics(data, permutations=19)
    assert list(table) == list(RESPONSES.columns)
    assert table["statistic"].unique().tolist() == ["participation_ratio", "smoothness_mm", "wiring_mm"]
    assert table["tap"].tolist() == ["tap0", "tap1", "*"] * 3
    assert (table["fwhm_mm"] == 0).all()
    other = data.assign_coords(condition=("stimulus", ["x"] * 80))
    assert ts.response_statistics(other, permutations=19).equals(table)


def test_smooth_responses_are_wired_shorter_than_chance_and_dimensions_know_no_places():
    rows = ts.response_statistics(responses(cortex(), smooth=3.0), permutations=19).set_index(["statistic", "tap"])
    assert (rows.loc["wiring_mm", "p"] == 0.05).all()
    assert (rows.loc["smoothness_mm", "p"] == 0.05).all()
    assert rows.loc["participation_ratio", ["null_mean", "p", "label_p"]].isna().all(axis=None)
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
