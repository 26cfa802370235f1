import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats
from tests.cortex.planted import SIDE, compared, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.cortex import MAP_STATISTICS, MapStatistic
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.map_statistics import TapMaps

COLUMNS = [
    "contrast", "negative_control", "sheet", "tap", "fwhm_mm", "n_units", "significant_fraction", "morans_i",
    "null_mean", "null_sd", "z", "p", "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i",
]  # fmt: skip


def table(comparison, **options):
    return ts.map_statistics(comparison, **{"permutations": 49, **options})


def test_the_columns_are_those_of_the_contract_and_the_rows_taps_times_readouts():
    result = table(compared(), fwhm_mm=(0.0, 2.0, 3.0))
    assert list(result.columns) == COLUMNS
    assert len(result) == 2 * 3
    assert (result["n_units"] == SIDE**2).all()
    assert set(zip(result["contrast"], result["negative_control"], strict=True)) == {("a:b", "")}


def test_a_planted_patch_has_a_map_that_is_smooth_selective_and_comes_back():
    result = table(compared(effect=1.5))
    assert (result["p"] == 0.02).all()
    assert (result["label_p"] == 0.02).all()
    assert (result["cross_half_i"] > 0.4).all()


def test_smooth_noise_has_place_topography_but_no_selectivity():
    result = table(compared(smooth=4.0), fwhm_mm=(0.0,))
    assert (result["morans_i"] > 0.7).all()
    assert (result["z"] > 10).all()
    assert (result["label_p"] > 0.02).all()
    assert (result["significant_fraction"] == 0).all()


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_white_noise_gives_uniform_p_under_both_nulls(fwhm):
    result = table(compared(n_taps=60, n=6), fwhm_mm=(fwhm,))
    for column in ("p", "label_p"):
        assert stats.kstest(result[column] - 0.01, "uniform").pvalue > 0.01


def test_a_readout_is_compared_with_the_null_of_the_same_readout():
    result = table(compared(n=20), fwhm_mm=(0.0, 2.0)).set_index("fwhm_mm")
    assert abs(result.loc[0.0, "null_mean"]).max() < 0.05
    assert (result.loc[2.0, "null_mean"] > 0.4).all()
    assert (abs(result["z"]) < 4).all()


def test_statistics_depend_on_the_seed_alone():
    comparison = compared(effect=0.3)
    pd.testing.assert_frame_equal(table(comparison, seed=3), table(compared(effect=0.3), seed=3))
    assert (table(comparison, seed=3)["null_mean"] != table(comparison, seed=4)["null_mean"]).all()


def test_the_order_of_units_changes_nothing_but_the_draws(rng):
    data = responses(cortex(n_taps=1), effect=0.5)
    shuffled = data.isel(unit=rng.permutation(data.sizes["unit"]))
    columns = ["significant_fraction", "morans_i", "cross_half_i"]
    one, other = (table(ts.Comparison(d, "a", "b"))[columns] for d in (data, shuffled))
    pd.testing.assert_frame_equal(one, other)


def test_places_are_shuffled_within_taps_when_taps_share_a_sheet():
    # Two bands of one sheet that differ only in their mean: topography of the sheet, none of either tap.
    rng = np.random.default_rng(0)
    cells = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)
    topo = ts.Topography({"cortex": ts.Sheet((SIDE, SIDE), {"top": cells[:72], "bottom": cells[72:]})})
    values = rng.normal(size=(40, SIDE**2)).astype(np.float32)
    values[::2, :72] += 3
    data = to_stimuli(topo, values, ["a", "b"] * 20)
    result = table(ts.Comparison(data, "a", "b"), fwhm_mm=(0.0, 2.0))
    assert result["tap"].tolist() == ["top", "bottom", "*"] * 2
    assert (abs(result["z"]) < 4).all()
    whole = result[result["tap"] == "*"]
    assert whole["sheet"].tolist() == ["cortex"] * 2
    assert whole["n_units"].tolist() == [SIDE**2] * 2
    t = ts.Comparison(data, "a", "b").t.values.reshape(SIDE, SIDE)
    for half in (t[: SIDE // 2], t[SIDE // 2 :]):
        half[:] = (half - half.mean()) / half.std()
    assert whole["morans_i"].iloc[0] == pytest.approx(float(ts.morans_i(t)))
    assert abs(whole["morans_i"].iloc[0]) < 0.15  # the border between the two taps does not count
    assert (abs(whole["label_z"]) < 4).all()


def test_a_map_that_continues_across_the_border_of_two_taps_counts_for_the_whole_sheet():
    # One smooth patch in the middle of the sheet: half of it lies in each tap.
    rng = np.random.default_rng(0)
    cells = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)
    topo = ts.Topography({"cortex": ts.Sheet((SIDE, SIDE), {"top": cells[:72], "bottom": cells[72:]})})
    patch = np.exp(-((cells - (SIDE - 1) / 2) ** 2).sum(axis=1) / 8)
    values = rng.normal(size=(40, SIDE**2)).astype(np.float32)
    values[::2] += 2 * patch
    comparison = ts.Comparison(to_stimuli(topo, values, ["a", "b"] * 20), "a", "b")
    result = table(comparison, fwhm_mm=0.0, permutations=99).set_index("tap")
    assert result.loc["*", "p"] == 0.01
    mean = ts.topography_statistics(comparison, fwhm_mm=0.0, permutations=9).query(
        "sheet == '*' and statistic == 'morans_i'"
    )
    assert mean["value"].item() == pytest.approx(result.loc[["top", "bottom"], "morans_i"].mean())
    clusters, units = ts.selective_clusters(comparison, permutations=99)
    assert clusters["tap"].iloc[0] == "*"
    assert clusters["n_units"].iloc[0] == (units["cluster"] == 1).sum()
    ordered = ts.organisation(comparison, fwhm_mm=0.0)
    assert ordered["sheet"].tolist() == ["cortex"] * 3 + ["*"]
    assert ordered["tap"].tolist() == ["top", "bottom", "*", "*"]
    assert ordered["p"].iloc[2] <= 0.05
    grown = ts.grow_clusters(comparison)
    assert set(grown["tap"].values[grown.values == 1]) == {"top", "bottom"}


def test_a_null_needs_two_permutations():
    with pytest.raises(ValueError, match="permutations is 1"):
        table(compared(), permutations=1)


def test_labels_dealt_out_anew_find_nothing_where_labels_find_much():
    table = ts.topography_statistics(compared(effect=1.5))
    all_taps = table[table["tap"] == ALL_TAPS].set_index(["statistic", "fwhm_mm"])
    assert all_taps.loc[("significant_fraction", 0.0), "value"] > 0.2
    assert all_taps.loc[("significant_fraction", 0.0), "label_null_mean"] < 0.01
    assert abs(all_taps.loc[("cross_half_i", 0.0), "label_null_mean"]) < 0.05
    assert np.isnan(all_taps.loc[("cross_half_i", 0.0), "label_p"])  # halves describe, and test nothing
    assert all_taps.loc[("islands_i", 0.0), "label_undefined"] == 1


def test_the_mean_over_taps_has_the_null_of_means():
    table = ts.topography_statistics(compared(n_taps=9), fwhm_mm=(0.0,), permutations=400)
    morans = table[table["statistic"] == "morans_i"]
    whole, single_taps = morans[morans["tap"] == ALL_TAPS].iloc[0], morans[morans["tap"] != ALL_TAPS]
    assert whole["value"] == pytest.approx(single_taps["value"].mean())
    assert whole["null_mean"] == pytest.approx(single_taps["null_mean"].mean())
    assert whole["null_sd"] == pytest.approx(single_taps["null_sd"].mean() / 3, rel=0.15)  # nine independent taps


def test_planted_clusters_are_counted_and_measured():
    topo = cortex(n_taps=1)
    data = responses(topo)
    y, x = data["y"].values, data["x"].values
    for sign, rows, columns in ((1, (0, 4), (0, 4)), (-1, (6, 11), (5, 11))):  # 16 and 30 units
        patch = (y >= rows[0]) & (y < rows[1]) & (x >= columns[0]) & (x < columns[1])
        data.values[::2, patch] += 3 * sign
    table = ts.topography_statistics(ts.Comparison(data, "a", "b"), fwhm_mm=(0.0,), permutations=9)
    table = table.set_index(["tap", "statistic"])["value"]
    assert table["tap0", "clusters"] == 2
    assert table["tap0", "largest_cluster"] == pytest.approx(30, abs=3)


@pytest.mark.parametrize(("contiguity", "neighbours"), [("queen", np.ones((3, 3))), ("rook", None)])
def test_clusters_are_counted_by_the_contiguity_and_from_the_smallest_size_on_that_are_asked_for(
    contiguity, neighbours
):
    comparison = compared(effect=0.45)
    q, t = cortex().to_grid(comparison.q), comparison.maps()
    counts = {}
    for min_size in (1, 3, 10):
        options = {"permutations": 2, "contiguity": contiguity, "min_size": min_size}
        table = ts.topography_statistics(comparison, fwhm_mm=(0.0,), **options).set_index(["statistic", "tap"])["value"]
        for tap in ("tap0", "tap1"):
            sizes = []
            for sign in (1, -1):
                cells = (q[tap].values < 0.05) & (sign * t[tap].values > 0)
                labels, _ = ndimage.label(cells, neighbours)
                sizes += np.bincount(labels.ravel())[1:].tolist()
            counts[tap, min_size] = sum(size >= min_size for size in sizes)
            assert table["clusters", tap] == counts[tap, min_size]
            assert table["largest_cluster", tap] == max(sizes)
    assert counts["tap0", 1] + counts["tap1", 1] > counts["tap0", 10] + counts["tap1", 10]  # smaller ones count


def test_a_negative_control_is_named_in_a_column_of_its_own():
    control = ts.negative_controls(compared(effect=1.0))["random-labels"]
    for result in (table(control, permutations=5), ts.topography_statistics(control, permutations=5)):
        assert set(result["contrast"]) == {"a:b"}
        assert set(result["negative_control"]) == {"random-labels"}


def test_a_statistic_from_outside_gets_value_nulls_and_p():
    def share_above_two(maps: TapMaps) -> np.ndarray:
        return np.nanmean(np.abs(maps.t) > 2, axis=(-2, -1))

    comparison = compared(effect=1.0)
    usual = ts.topography_statistics(comparison, permutations=19)
    MAP_STATISTICS.register("above_two", MapStatistic(share_above_two, "the share of units with |t| over 2"))
    try:
        table = ts.topography_statistics(comparison, permutations=19)
    finally:
        MAP_STATISTICS.unregister("above_two")
    pd.testing.assert_frame_equal(table[table["statistic"] != "above_two"].reset_index(drop=True), usual)
    mine = table[table["statistic"] == "above_two"].set_index(["fwhm_mm", "tap"])
    assert list(mine.index) == [(fwhm, tap) for fwhm in (0.0, 2.0) for tap in ("tap0", "tap1", "*")]
    t = comparison.t.values
    for tap, units in (("tap0", t[:144]), ("tap1", t[144:]), ("*", t)):
        row = mine.loc[(0.0, tap)]
        assert row["value"] == pytest.approx((np.abs(units) > 2).mean())
        assert row["null_mean"] == pytest.approx(row["value"])  # units at other places have the same t
        assert (row["p"], row["label_p"]) == (1.0, 0.05)
        assert row["label_null_mean"] == pytest.approx(0.05, abs=0.02)  # of noise
        assert row["undefined"] == row["label_undefined"] == 0
    assert "above_two" not in ts.topography_statistics(comparison, permutations=2)["statistic"].tolist()
