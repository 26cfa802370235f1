import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import toposheet as ts
from toposheet.cortex.analysis import analyse
from toposheet.cortex.contrasts import condition_masks
from toposheet.cortex.maps import contrast_maps, replaced
from toposheet.cortex.statistics import MEAN_OVER_TAPS
from toposheet.settings import Settings
from toposheet.sheet import Sheet, random_places
from toposheet.stats import gaussian_readout, shuffled_within
from toposheet.stimuli.contrasts import Contrast

SIDE = 12
COLUMNS = [
    "contrast", "sheet", "tap", "fwhm_mm", "n_units", "significant_fraction", "morans_i", "null_mean", "null_sd",
    "z", "p", "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i",
]  # fmt: skip


def cortex(n_taps=2, seed=0):
    rng = np.random.default_rng(seed)
    sheets = {
        f"tap{i}": Sheet((SIDE, SIDE), {f"tap{i}": random_places(SIDE**2, (SIDE, SIDE), rng)}) for i in range(n_taps)
    }
    return ts.Topography(sheets)


def responses(topo, effect=0.0, smooth=0.0, n=40, seed=0):
    """Noise on the sheets, smoothed by `smooth` cells, and a patch that prefers condition a by `effect` sd."""
    rng = np.random.default_rng(seed)
    condition = np.array(["a", "b"] * n)
    parts = []
    for sheet in topo.sheets.values():
        grid = gaussian_readout(rng.normal(size=(2 * n, SIDE, SIDE)), smooth)
        grid /= grid.std()
        grid[condition == "a", 2:8, 3:9] += effect
        y, x = sheet.coordinates.T
        parts.append(grid[:, y, x])
    return xr.DataArray(
        np.concatenate(parts, axis=1).astype(np.float32),
        dims=("stimulus", "unit"),
        coords={"condition": ("stimulus", condition), **topo.unit_coordinates()},
    )


def table(data, **options):
    return ts.map_statistics(data, "a", "b", **{"permutations": 49, **options})


def test_the_columns_are_those_of_the_contract_and_the_rows_taps_times_readouts():
    result = table(responses(cortex()), fwhm_mm=(0.0, 2.0, 3.0))
    assert list(result.columns) == COLUMNS
    assert len(result) == 2 * 3
    assert (result["n_units"] == SIDE**2).all()


def test_a_planted_patch_is_found_where_it_is():
    topo = cortex()
    data = responses(topo, effect=1.5)
    grid = topo.to_grid(ts.contrast(data, "a", "b").q)["tap0"].values < 0.05
    patch = np.zeros((SIDE, SIDE), bool)
    patch[2:8, 3:9] = True
    assert (grid & patch).sum() / (grid | patch).sum() > 0.8
    result = table(data)
    assert (result["p"] == 0.02).all()
    assert (result["label_p"] == 0.02).all()
    assert (result["cross_half_i"] > 0.4).all()


def test_smooth_noise_has_place_topography_but_no_selectivity():
    result = table(responses(cortex(), smooth=4.0), fwhm_mm=(0.0,))
    assert (result["morans_i"] > 0.7).all()
    assert (result["z"] > 10).all()
    assert (result["label_p"] > 0.02).all()
    assert (result["significant_fraction"] == 0).all()


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_white_noise_gives_uniform_p_under_both_nulls(fwhm):
    topo = cortex(n_taps=60)
    result = table(responses(topo, n=6), fwhm_mm=(fwhm,))
    for column in ("p", "label_p"):
        assert stats.kstest(result[column] - 0.01, "uniform").pvalue > 0.01


def test_a_readout_is_compared_with_the_null_of_the_same_readout():
    result = table(responses(cortex(), n=20), fwhm_mm=(0.0, 2.0)).set_index("fwhm_mm")
    assert abs(result.loc[0.0, "null_mean"]).max() < 0.05
    assert (result.loc[2.0, "null_mean"] > 0.4).all()
    assert (abs(result["z"]) < 4).all()


def test_statistics_depend_on_the_seed_alone():
    data = responses(cortex(), effect=0.3)
    pd.testing.assert_frame_equal(table(data, seed=3), table(data, seed=3))
    assert (table(data, seed=3)["null_mean"] != table(data, seed=4)["null_mean"]).all()


def test_the_order_of_units_changes_nothing_but_the_draws(rng):
    data = responses(cortex(n_taps=1), effect=0.5)
    shuffled = data.isel(unit=rng.permutation(data.sizes["unit"]))
    columns = ["significant_fraction", "morans_i", "cross_half_i"]
    pd.testing.assert_frame_equal(table(data)[columns], table(shuffled)[columns])


def test_places_are_shuffled_within_taps_when_taps_share_a_sheet():
    # Two bands of one sheet that differ only in their mean: topography of the sheet, none of either tap.
    rng = np.random.default_rng(0)
    cells = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)
    topo = ts.Topography({"cortex": Sheet((SIDE, SIDE), {"top": cells[:72], "bottom": cells[72:]})})
    values = rng.normal(size=(40, SIDE**2)).astype(np.float32)
    values[::2, :72] += 3
    coordinates = {"condition": ("stimulus", ["a", "b"] * 20), **topo.unit_coordinates()}
    data = xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates)
    result = table(data, fwhm_mm=(0.0, 2.0))
    assert result["tap"].tolist() == ["top", "bottom"] * 2
    assert (abs(result["z"]) < 4).all()


def test_readout_of_responses_is_the_readout_of_their_maps():
    topo = cortex()
    data = responses(topo)
    expected = gaussian_readout(topo.to_grid(data)["tap1"].values, 3.0)
    np.testing.assert_allclose(topo.to_grid(ts.readout(data, 3.0))["tap1"], expected, rtol=1e-5, atol=1e-6)


def test_readout_is_in_millimetres():
    topo = ts.Topography(
        {"tap": Sheet((4, 4), {"tap": random_places(16, (4, 4), np.random.default_rng(0))}, spacing_mm=0.5)}
    )
    coordinates = {"condition": ("stimulus", ["a"] * 3), **topo.unit_coordinates()}
    data = xr.DataArray(np.random.default_rng(1).normal(size=(3, 16)), dims=("stimulus", "unit"), coords=coordinates)
    expected = gaussian_readout(topo.to_grid(data)["tap"].values, 4.0)
    np.testing.assert_allclose(topo.to_grid(ts.readout(data, 2.0))["tap"], expected)


def test_q_is_over_all_taps_jointly():
    data = responses(cortex(), effect=0.5)
    result = ts.contrast(data, "a", "b")
    np.testing.assert_allclose(result.q, stats.false_discovery_control(result.p.values))
    assert set(result.coords) == {"tap", "sheet", "y", "x", "spacing_mm"}


def test_t_is_positive_where_a_is_larger():
    topo = cortex()
    grid = topo.to_grid(ts.contrast(responses(topo, effect=3.0), "a", "b").t)["tap0"]
    assert float(grid[5, 6]) > 5


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [("a", "c", "no condition 'c'; the conditions are: a, b"), ("a", "a", "compares 'a' with itself")],
)
def test_conditions_that_are_not_there_list_those_that_are(a, b, message):
    with pytest.raises(ValueError, match=message):
        ts.contrast(responses(cortex()), a, b)


def test_a_condition_of_two_texts_is_too_small():
    data = responses(cortex()).isel(stimulus=[0, 1, 2, 3, 5])
    with pytest.raises(ValueError, match="'a' has 2 stimuli"):
        ts.contrast(data, "a", "b")


def test_a_null_needs_two_permutations():
    with pytest.raises(ValueError, match="permutations is 1"):
        table(responses(cortex()), permutations=1)


def test_labels_dealt_out_anew_find_nothing_where_labels_find_much():
    table = ts.topography_statistics(responses(cortex(), effect=1.5), "a", "b")
    of_all = table[table["tap"] == MEAN_OVER_TAPS].set_index(["statistic", "fwhm_mm"])
    assert of_all.loc[("significant_fraction", 0.0), "value"] > 0.2
    assert of_all.loc[("significant_fraction", 0.0), "label_null_mean"] < 0.01
    assert abs(of_all.loc[("cross_half_i", 0.0), "label_null_mean"]) < 0.05
    assert of_all.loc[("cross_half_i", 0.0), "label_p"] == 0.01
    assert of_all.loc[("islands_i", 0.0), "label_undefined"] == 1


def test_the_mean_over_taps_has_the_null_of_means():
    table = ts.topography_statistics(responses(cortex(n_taps=9)), "a", "b", (0.0,), permutations=400)
    morans = table[table["statistic"] == "morans_i"]
    whole, of_taps = morans[morans["tap"] == MEAN_OVER_TAPS].iloc[0], morans[morans["tap"] != MEAN_OVER_TAPS]
    assert whole["value"] == pytest.approx(of_taps["value"].mean())
    assert whole["null_mean"] == pytest.approx(of_taps["null_mean"].mean())
    assert whole["null_sd"] == pytest.approx(of_taps["null_sd"].mean() / 3, rel=0.15)  # nine independent taps


def test_planted_clusters_are_counted_and_measured():
    topo = cortex(n_taps=1)
    data = responses(topo)
    y, x = data["y"].values, data["x"].values
    for sign, rows, columns in ((1, (0, 4), (0, 4)), (-1, (6, 11), (5, 11))):  # 16 and 30 units
        patch = (y >= rows[0]) & (y < rows[1]) & (x >= columns[0]) & (x < columns[1])
        data.values[::2, patch] += 3 * sign
    table = ts.topography_statistics(data, "a", "b", (0.0,), permutations=9).set_index(["tap", "statistic"])["value"]
    assert table["tap0", "clusters"] == 2
    assert table["tap0", "largest_cluster"] == pytest.approx(30, abs=3)


def one_by_one(topo, data, orders, fwhm):
    """The place-null done slowly: the responses of each draw moved, sampled and contrasted anew."""
    in_a, in_b = condition_masks(data, "a", "b")
    maps = []
    for order in orders:
        moved = data.copy(data=data.values[:, order])
        maps.append(contrast_maps(ts.readout(moved, fwhm), in_a, in_b))
    return [np.stack([getattr(m, name) for m in maps]) for name in ("t", "q", "even", "odd")]


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
@pytest.mark.parametrize("layout", ["full", "holes", "shared"])
def test_moved_units_are_sampled_as_if_they_had_been_there(fwhm, layout):
    rng = np.random.default_rng(1)
    if layout == "shared":
        cells = rng.permutation(np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1))[:100]
        topo = ts.Topography({"cortex": Sheet((SIDE, SIDE), {"one": cells[:60], "two": cells[60:]}, spacing_mm=0.5)})
    else:
        n = SIDE**2 if layout == "full" else 90
        topo = ts.Topography({"s": Sheet((SIDE, SIDE), {"one": random_places(n, (SIDE, SIDE), rng)})})
    coordinates = {"condition": ("stimulus", ["a", "b", "a", "b", "a"] * 5), **topo.unit_coordinates()}
    units = sum(topo.widths.values())
    values = (rng.normal(size=(25, units)) + 50 * rng.normal(size=units)).astype(np.float32)
    data = xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates)
    orders = shuffled_within(np.unique(data["tap"], return_inverse=True)[1], 4, rng)
    maps = list(replaced(data, *condition_masks(data, "a", "b"), fwhm, orders))
    for name, slow in zip(("t", "q", "even", "odd"), one_by_one(topo, data, orders, fwhm), strict=True):
        np.testing.assert_allclose(np.concatenate([getattr(m, name) for m in maps]), slow, rtol=2e-3, atol=2e-4)


def test_responses_that_are_not_finite_are_refused_by_tap():
    data = responses(cortex())
    data.values[3, 150] = np.nan
    with pytest.raises(ValueError, match="tap1 to stimulus 3 is not finite"):
        table(data)


def test_an_analysis_has_negative_controls_beside_each_contrast_and_maps_on_their_sheets():
    topo = cortex()
    data = responses(topo, effect=1.0)
    texts = ["word " * (1 + i // 8) for i in range(80)]
    data = data.assign_coords(text=("stimulus", texts), kind=("stimulus", ["x"] * 40 + ["y"] * 40))
    contrasts = [Contrast("a", "b"), Contrast("a", "b", where=("kind", "y"))]
    analysis = analyse(data, topo, contrasts, Settings(permutations=9))
    names = ["a:b", "a:b/random-labels", "a:b/length", "y a:b", "y a:b/random-labels", "y a:b/length"]
    assert analysis.statistics["contrast"].unique().tolist() == names
    assert analysis.maps["contrast"].values.tolist() == names
    assert dict(analysis.maps.sizes) == {"contrast": 6, "fwhm_mm": 2, "sheet": 2, "y": SIDE, "x": SIDE}
    expected = topo.to_grid(ts.contrast(data, "a", "b").t)["tap1"]
    np.testing.assert_allclose(analysis.maps["t"].sel(contrast="a:b", fwhm_mm=0.0, sheet="tap1"), expected)
    of_kind = ts.contrast(data.isel(stimulus=slice(40, 80)), "a", "b").t
    np.testing.assert_allclose(
        analysis.maps["t"].sel(contrast="y a:b", fwhm_mm=0.0, sheet="tap0"), topo.to_grid(of_kind)["tap0"]
    )
    found = analysis.statistics.query("statistic == 'significant_fraction' and fwhm_mm == 0 and tap == '*'")
    assert found.set_index("contrast")["value"]["a:b"] > 0.1
    assert found[found["control"] != ""]["value"].max() < 0.05
    assert set(analysis.clusters["contrast"]) >= {"a:b", "y a:b"}


def test_an_analysis_follows_its_settings():
    topo = cortex()
    data = responses(topo, effect=1.0)
    data = data.assign_coords(length_of=("stimulus", np.random.default_rng(0).normal(size=80)))
    options = {"permutations": 9, "seed": 3, "controls": False, "fwhm_mm": (1.0,)}
    masses = analyse(data, topo, [Contrast("a", "b")], Settings(**options, forming_p=0.1)).clusters
    formed, _ = ts.selective_clusters(data, "a", "b", 1.0, 9, 3, forming_p=0.1)
    assert len(masses.query("fwhm_mm == 1")) == len(formed) > 0
    settings = Settings(**options, inference="tfce", contiguity="rook", min_size=1, confounds=("length_of",))
    found = analyse(data, topo, [Contrast("a", "b")], settings)
    left = ts.without_confounds(data, ("length_of",), "a", "b")
    clusters, _ = ts.selective_clusters(left, "a", "b", 1.0, 9, 3, method="tfce", contiguity="rook")
    pd.testing.assert_frame_equal(
        found.clusters.query("fwhm_mm == 1")[clusters.columns.tolist()].reset_index(drop=True),
        clusters,
        check_dtype=False,
    )
    statistics = ts.topography_statistics(left, "a", "b", (0.0, 1.0), 9, 3, "rook", 1)
    pd.testing.assert_frame_equal(found.statistics[statistics.columns.tolist()], statistics, check_dtype=False)
    usual = analyse(data, topo, [Contrast("a", "b")], Settings(**options)).statistics
    clusters, other = (table.query("statistic == 'clusters'")["value"].to_numpy() for table in (statistics, usual))
    assert (clusters > other).any()  # smaller ones count


def test_sheets_of_different_shapes_share_a_file():
    rng = np.random.default_rng(0)
    sheets = {
        name: Sheet(shape, {name: random_places(shape[0] * shape[1], shape, rng)})
        for name, shape in (("s", (3, 4)), ("l", (5, 6)))
    }
    topo = ts.Topography(sheets)
    coordinates = {"condition": ("stimulus", ["a", "b"] * 5), **topo.unit_coordinates()}
    data = xr.DataArray(rng.normal(size=(10, 42)), dims=("stimulus", "unit"), coords=coordinates)
    maps = analyse(data, topo, [Contrast("a", "b")], Settings(fwhm_mm=(), permutations=5, controls=False)).maps
    assert int(np.isfinite(maps["t"].sel(sheet="s")).sum()) == 12
    assert int(np.isfinite(maps["t"].sel(sheet="l")).sum()) == 30


def test_masks_follow_the_labels():
    in_a, in_b = condition_masks(responses(cortex(), n=3), "a", "b")
    assert in_a.tolist() == [True, False] * 3
    assert (in_a != in_b).all()


def one_cluster(data):
    return data.isel(stimulus=0, drop=True).copy(data=np.ones(data.sizes["unit"], dtype=int))


@pytest.mark.parametrize(
    ("analysis", "needed"),
    [
        (lambda data: ts.map_statistics(data, "a", "b", permutations=3), "condition tap sheet y x spacing_mm"),
        (lambda data: ts.selective_clusters(data, "a", "b", permutations=3), "condition tap sheet y x spacing_mm"),
        (lambda data: ts.cross_validated(data, "a", "b"), "condition tap sheet y x"),
        (lambda data: ts.negative_controls(data, "a", "b"), "condition"),
        (lambda data: ts.profiles(data, one_cluster(data)), "condition tap"),
        (lambda data: ts.consistency(data, one_cluster(data), permutations=3), "condition tap"),
        (lambda data: ts.response_statistics(data, permutations=3), "tap sheet y x spacing_mm"),
        (lambda data: ts.correlation_curve(data, permutations=3), "tap sheet y x spacing_mm"),
        (lambda data: ts.readout(data), "sheet y x spacing_mm"),
    ],
)
def test_responses_that_lack_a_coordinate_are_refused_by_its_name(analysis, needed):
    for name in needed.split():
        with pytest.raises(ValueError, match=f"no coordinate '{name}'; they have: "):
            analysis(responses(cortex()).drop_vars(name))


def test_a_contrast_of_responses_without_conditions_says_what_they_have():
    data = responses(cortex())
    with pytest.raises(ValueError, match="no coordinate 'condition'; they have: tap, sheet, y, x, spacing_mm"):
        ts.contrast(data.drop_vars("condition"), "a", "b")
    with pytest.raises(ValueError, match="no coordinate 'text'"):
        ts.without_confounds(data, ["length"], "a", "b")
    with pytest.raises(ValueError, match="no coordinate 'category'"):
        analyse(data, cortex(), [Contrast("a", "b", where=("category", "x"))])
