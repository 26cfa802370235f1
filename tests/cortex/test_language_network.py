import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import toposheet as ts
from toposheet.cortex.analysis import language_network
from toposheet.cortex.contrasts import condition_masks
from toposheet.cortex.localizer import LOCALIZER, save_localizer
from toposheet.settings import Settings
from toposheet.sheet import Sheet, random_places
from toposheet.stats import shuffled_labels
from toposheet.stimuli.contrasts import Contrast

SIDE = 12


@pytest.fixture
def topo():
    rng = np.random.default_rng(0)
    shape = (SIDE, SIDE)
    return ts.Topography({f"tap{i}": Sheet(shape, {f"tap{i}": random_places(SIDE**2, shape, rng)}) for i in range(2)})


def patch(topo):
    """The units of 5x5 cells of the first sheet and of 4x5 cells of the second."""
    units = topo.unit_coordinates()
    tap, y, x = (units[name][1] for name in ("tap", "y", "x"))
    first = (tap == "tap0") & (y >= 2) & (y < 7) & (x >= 3) & (x < 8)
    return first | ((tap == "tap1") & (y >= 6) & (y < 10) & (x >= 1) & (x < 6))


def responses(topo, conditions, effects, seed=0):
    """Noise, and a patch that responds to each condition as strongly as its effect says."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(conditions), 2 * SIDE**2))
    values[:, patch(topo)] += np.array([effects[c] for c in conditions])[:, None]
    coordinates = {"condition": ("stimulus", list(conditions)), **topo.unit_coordinates()}
    return xr.DataArray(values.astype(np.float32), dims=("stimulus", "unit"), coords=coordinates)


def localizer(topo, effect=3.0, n=24):
    return responses(topo, ["sentence", "nonword"] * n, {"sentence": effect, "nonword": 0.0})


PROFILE = {"S": 4.0, "W": 2.5, "J": 2.0, "N": 0.5}


def overlap(found, planted):
    return (found & planted).sum() / (found | planted).sum()


def test_a_localizer_finds_the_planted_network(topo):
    found = ts.localize(localizer(topo))
    assert overlap(found["mask"].values, patch(topo)) > 0.8
    assert found.attrs["contrast"] == "sentence:nonword"


def test_a_localizer_of_a_percentage_takes_the_units_with_the_largest_t(topo):
    data = localizer(topo)
    mask = ts.localize(data, percent=12.5)["mask"].values
    t = stats.ttest_ind(data.values[::2], data.values[1::2], equal_var=False).statistic
    assert mask.sum() == 36
    assert t[mask].min() > t[~mask].max()


def test_odd_and_even_items_share_none(topo):
    data = localizer(topo)
    odd, even = (ts.localize(data, items=items)["t"].values for items in ("odd", "even"))
    rows = np.arange(48)
    expected = [
        stats.ttest_ind(
            data.values[(rows % 4) == 2 * parity], data.values[(rows % 4) == 2 * parity + 1], equal_var=False
        )
        for parity in (1, 0)
    ]
    np.testing.assert_allclose(odd, expected[0].statistic, atol=1e-5)
    np.testing.assert_allclose(even, expected[1].statistic, atol=1e-5)


def test_cross_validation_measures_in_the_items_that_did_not_select(topo):
    data = localizer(topo)
    table = ts.cross_validated(data, "sentence", "nonword")
    mask = ts.localize(data, items="odd")["mask"].values
    even = data.values[(np.arange(48) % 4) < 2][:, mask].mean(axis=1, dtype=float)
    test = stats.ttest_ind(even[::2], even[1::2], equal_var=False, alternative="greater")
    whole = table.set_index("tap").loc["*"]
    assert whole["t"] == pytest.approx(test.statistic)
    assert whole["p"] == pytest.approx(test.pvalue)
    assert whole["n_selected"] == mask.sum() == table["n_selected"].iloc[:-1].sum()


@pytest.mark.parametrize("planted", ["odd", "even"])
def test_an_effect_in_the_items_that_select_is_not_measured_and_one_in_the_others_not_selected(topo, planted):
    data = localizer(topo, effect=0.0)
    item = np.arange(48) // 2
    with_effect = (data["condition"].values == "sentence") & (item % 2 == (planted == "odd"))
    data.values[np.ix_(with_effect, patch(topo))] += 3.0
    whole = ts.cross_validated(data, "sentence", "nonword").set_index("tap").loc["*"]
    if planted == "odd":
        assert whole["n_selected"] > 30
        assert abs(whole["d"]) < 0.6
        assert whole["p"] > 0.05
    else:
        assert whole["n_selected"] < 5


def test_a_localizer_is_stored_with_its_model_and_refused_by_another(topo, tmp_path):
    found = ts.localize(localizer(topo), model="abc")
    save_localizer(found, tmp_path / LOCALIZER)
    xr.testing.assert_equal(ts.load_localizer(tmp_path, "abc"), found)
    with pytest.raises(ValueError, match=r"made of another model \(abc, this is xyz\)"):
        ts.load_localizer(tmp_path / LOCALIZER, "xyz")
    with pytest.raises(FileNotFoundError, match="toposheet localize"):
        ts.load_localizer(tmp_path / "none.nc")
    (tmp_path / "bad.nc").write_bytes(b"no")
    with pytest.raises(ValueError, match="is no localizer"):
        ts.load_localizer(tmp_path / "bad.nc")


@pytest.mark.parametrize("lacks", ["mask", "tap", "model"])
def test_a_file_that_is_no_localizer_says_what_it_lacks(topo, tmp_path, lacks):
    whole = ts.localize(localizer(topo), model="abc")
    part = whole.drop_attrs() if lacks == "model" else whole.drop_vars(lacks)
    part.to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=rf"part\.nc is no localizer: it has no {lacks}; toposheet localize"):
        ts.load_localizer(tmp_path / "part.nc", "abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percent": 0.0}, "percent is 0"),
        ({"percent": 100.1}, "percent is 100.1"),
        ({"percent": float("nan")}, "percent is nan"),
        ({"percent": 0.1}, "percent is 0.1: of 288 units that is none; one unit is 0.35 %"),
        ({"q": 2.0}, "q is 2"),
        ({"items": "some"}, "items is 'some'"),
    ],
)
def test_settings_of_a_localizer_out_of_range_are_refused(topo, options, message):
    with pytest.raises(ValueError, match=message):
        ts.localize(localizer(topo), **options)


def test_clusters_are_the_planted_ones_in_order_of_taps(topo):
    clusters = ts.grow_clusters(ts.contrast(localizer(topo), "sentence", "nonword"))
    assert clusters.max() == 2
    planted, first = patch(topo), topo.unit_coordinates()["tap"][1] == "tap0"
    assert overlap(clusters.values == 1, planted & first) > 0.8
    assert overlap(clusters.values == 2, planted & ~first) > 0.8


def test_clusters_of_a_localizer_are_those_of_its_mask(topo):
    data = localizer(topo)
    for few, many in (({"percent": 5.0}, {"percent": 25.0}), ({"q": 1e-9}, {"q": 0.2})):
        masks = [ts.localize(data, **options) for options in (few, many)]
        clusters = [ts.grow_clusters(mask, min_size=1).values > 0 for mask in masks]
        for mask, cluster in zip(masks, clusters, strict=True):
            np.testing.assert_array_equal(cluster, mask["mask"])
        assert clusters[0].sum() < clusters[1].sum()
    of_size = ts.grow_clusters(ts.localize(data, percent=25.0), min_size=10)
    assert np.bincount(of_size.values)[1:].min() >= 10
    assert (of_size.values > 0).sum() < 72


def test_units_that_prefer_the_other_condition_are_in_no_cluster(topo):
    assert ts.grow_clusters(ts.contrast(localizer(topo), "nonword", "sentence")).max() == 0


def test_a_network_at_random_places_is_not_clustered_where_the_planted_one_is(topo):
    planted = ts.clustering_of_network(ts.contrast(localizer(topo), "sentence", "nonword")).set_index("statistic")
    assert planted.loc["clusters", "value"] == 2
    assert planted.loc["largest_cluster", "value"] == pytest.approx((25 + 20) / 2, abs=2)
    assert planted.loc["mask_morans_i", "value"] > 0.6
    assert planted.loc["mask_morans_i", "p"] == 0.01
    scattered = localizer(topo)
    rng = np.random.default_rng(2)
    for tap in ("tap0", "tap1"):
        own = np.flatnonzero(scattered["tap"] == tap)
        scattered.values[:, own] = scattered.values[:, rng.permutation(own)]
    found = ts.clustering_of_network(ts.contrast(scattered, "sentence", "nonword")).set_index("statistic")
    assert found.loc["mask_morans_i", "p"] > 0.05
    assert found.loc["largest_cluster", "null_mean"] == pytest.approx(
        planted.loc["largest_cluster", "null_mean"], rel=0.2
    )


def test_selective_clusters_are_the_planted_ones_and_survive_correction(topo):
    for method in ("mass", "tfce"):
        table, units = ts.selective_clusters(localizer(topo), "sentence", "nonword", method=method)
        real = table[table["p"] < 0.05]
        assert len(real) == 2
        assert (real["p"] == 0.01).all()
        assert (real["sign"] == 1).all()
        assert overlap((units["p"] < 0.05).values, patch(topo)) > 0.8
        top = table.iloc[0]
        assert (units["cluster"].values == 1).sum() == top["n_units"]
        assert top["mass"] == pytest.approx(units["t"].values[units["cluster"].values == 1].sum(), rel=1e-6)


def test_cluster_inference_agrees_with_mne(topo):
    from mne.stats import permutation_cluster_test
    from mne.stats.cluster_level import _find_clusters, _setup_adjacency
    from scipy.sparse import block_diag
    from tests.stats.test_clusters import adjacency

    data = localizer(topo, effect=0.5, n=12)
    table, _ = ts.selective_clusters(data, "sentence", "nonword", permutations=99, forming_p=0.02)
    order = np.lexsort((data["x"], data["y"], data["tap"]))
    x = data.values[:, order].astype(float)
    near = block_diag([adjacency((SIDE, SIDE), "queen")] * 2).tocoo()
    threshold = stats.t.isf(0.01, 22)

    def t(a, b):
        return stats.ttest_ind(a, b, equal_var=False).statistic

    observed, clusters, _, _ = permutation_cluster_test(
        [x[::2], x[1::2]], threshold=threshold, n_permutations=1, tail=0, adjacency=near, out_type="mask", stat_fun=t,
        verbose="ERROR",
    )  # fmt: skip
    masses = sorted([observed[mask].sum() for mask in clusters], key=abs, reverse=True)
    np.testing.assert_allclose(table["mass"], masses, rtol=1e-4)
    # mne's own null of two groups takes the largest sum with its sign; of two sides, the largest without is meant.
    found_by, draws = _setup_adjacency(near, x.shape[1], 1), []
    for a, b in zip(
        *shuffled_labels(*condition_masks(data, "sentence", "nonword"), 99, np.random.default_rng(0)), strict=True
    ):
        sums = _find_clusters(t(x[a], x[b]), threshold, tail=0, adjacency=found_by)[1]
        draws.append(np.abs(sums).max(initial=0))
    expected = [(1 + (np.array(draws) >= abs(mass) * (1 - 1e-6)).sum()) / 100 for mass in masses]
    np.testing.assert_allclose(table["p"], expected)


def test_smooth_noise_makes_no_selective_cluster(topo):
    from toposheet.stats import gaussian_readout

    rng = np.random.default_rng(5)
    data = localizer(topo, effect=0.0)
    grids = gaussian_readout(rng.normal(size=(48, 2, SIDE, SIDE)), 5.0)
    for i, tap in enumerate(("tap0", "tap1")):
        own = data["tap"].values == tap
        data.values[:, own] = grids[:, i][:, data["y"].values[own], data["x"].values[own]]
    assert (ts.map_statistics(data, "sentence", "nonword", (0.0,))["morans_i"] > 0.7).all()
    table, _ = ts.selective_clusters(data, "sentence", "nonword", forming_p=0.05)
    assert (table["p"] > 0.05).all()


def test_profiles_are_mean_absolute_responses(topo):
    clusters = ts.grow_clusters(ts.contrast(localizer(topo), "sentence", "nonword"))
    measured = responses(topo, list("SWJN") * 30, PROFILE, seed=9)
    table = ts.profiles(measured, clusters).set_index(["cluster", "condition"])
    units = clusters.values == 1
    expected = np.abs(measured.values[1::4][:, units]).mean()
    assert table.loc[("1", "W"), "response"] == pytest.approx(expected, rel=1e-5)
    assert table.loc[("network", "W"), "n_units"] == (clusters.values > 0).sum()


def test_intervals_of_profiles_are_those_of_a_bootstrap_over_the_texts_of_the_condition(topo):
    clusters = ts.grow_clusters(ts.contrast(localizer(topo), "sentence", "nonword"))
    measured = responses(topo, [*"SWJN" * 20, *"N" * 60], PROFILE, seed=9)
    rng = np.random.default_rng(3)
    spread = {"S": 0.2, "W": 2.0, "J": 1.0, "N": 0.5}  # of texts: far wider than that of units
    measured.values[:] += np.array([spread[c] * rng.exponential() for c in measured["condition"].values])[:, None]
    table = ts.profiles(measured, clusters, resamples=20_000).set_index(["cluster", "condition"])
    for (cluster, condition), row in table.iterrows():
        units = clusters.values == int(cluster) if cluster != "network" else clusters.values > 0
        of_texts = np.abs(measured.values[measured["condition"] == condition][:, units]).mean(axis=1, dtype=float)
        assert row["n_texts"] == len(of_texts)
        assert row["sd"] == pytest.approx(of_texts.std(ddof=1))
        reference = stats.bootstrap((of_texts,), np.mean, method="percentile", n_resamples=20_000, rng=rng)
        width = reference.confidence_interval.high - reference.confidence_interval.low
        assert row["low"] == pytest.approx(reference.confidence_interval.low, abs=0.03 * width)
        assert row["high"] == pytest.approx(reference.confidence_interval.high, abs=0.03 * width)
        assert width == pytest.approx(2 * stats.norm.ppf(0.975) * of_texts.std() / np.sqrt(len(of_texts)), rel=0.1)
    np.testing.assert_array_equal(table["low"] < table["response"], True)
    assert table.loc[("1", "W"), "high"] - table.loc[("1", "W"), "low"] > 3 * (
        table.loc[("1", "S"), "high"] - table.loc[("1", "S"), "low"]
    )


def test_an_interval_of_few_texts_is_that_of_all_ways_to_draw_as_many(topo):
    clusters = ts.grow_clusters(ts.contrast(localizer(topo), "sentence", "nonword"))
    measured = responses(topo, list("SWJN") * 4, PROFILE, seed=9)
    row = ts.profiles(measured, clusters, resamples=20_000).set_index(["cluster", "condition"]).loc[("1", "W")]
    of_texts = np.abs(measured.values[1::4][:, clusters.values == 1]).mean(axis=1, dtype=float)
    means = [np.mean(drawn) for drawn in itertools.product(of_texts, repeat=4)]
    low, high = np.quantile(means, (0.025, 0.975), method="inverted_cdf")
    assert row["low"] == pytest.approx(low)
    assert row["high"] == pytest.approx(high)


def test_profiles_depend_on_their_seed_alone(topo):
    clusters = ts.grow_clusters(ts.contrast(localizer(topo), "sentence", "nonword"))
    measured = responses(topo, list("SWJN") * 10, PROFILE, seed=9)
    first, again, other = (ts.profiles(measured, clusters, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert (first["low"] != other["low"]).all()


def test_a_planted_language_network_meets_the_three_criteria(topo):
    measured = responses(topo, list("SWJN") * 40, PROFILE, seed=9)
    found = language_network(localizer(topo), Contrast("sentence", "nonword"), measured)
    assert found.criteria["holds"].all()
    alike = ts.consistency(measured, found.clusters)
    assert alike["n_clusters"] == 2
    assert alike["value"] > 0.95
    assert found.criteria["criterion"].nunique() == 3


def test_the_network_is_found_with_the_settings_and_without_confounds(topo):
    data = localizer(topo)
    level = np.random.default_rng(3).normal(size=data.sizes["stimulus"])
    data = data.copy(data=data.values + 3 * level[:, None]).assign_coords(level=("stimulus", level))
    measured = data.assign_coords(condition=("stimulus", ["S", "W", "J", "N"] * (len(level) // 4)))
    settings = Settings(permutations=9, confounds=("level",), min_size=22, contiguity="rook")
    found = language_network(data, Contrast("sentence", "nonword"), measured, settings)
    left = ts.contrast(ts.without_confounds(data, ("level",), "sentence", "nonword"), "sentence", "nonword")
    expected = ts.grow_clusters(left, min_size=22, contiguity="rook")
    np.testing.assert_array_equal(found.clusters, expected)
    with_confounds = ts.grow_clusters(ts.contrast(data, "sentence", "nonword"), min_size=22, contiguity="rook")
    assert (with_confounds.values != expected.values).any()
    assert (ts.grow_clusters(left).values != expected.values).any()


def test_where_there_is_no_network_no_criterion_holds(topo):
    measured = responses(topo, list("SWJN") * 40, dict.fromkeys("SWJN", 0.0), seed=9)
    found = language_network(localizer(topo, effect=0.0), Contrast("sentence", "nonword"), measured)
    assert not found.criteria["holds"].any()
    assert found.profiles.empty


def test_d_of_a_profile_is_that_of_the_texts(topo):
    result = ts.contrast(localizer(topo), "sentence", "nonword")
    clusters, clustering = ts.grow_clusters(result), ts.clustering_of_network(result)
    measured = responses(topo, list("SWJN") * 40, PROFILE, seed=9)
    table = ts.criteria(ts.cross_validated(localizer(topo), "sentence", "nonword"), clustering, measured, clusters)
    of_texts = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    s, w = of_texts[0::4], of_texts[1::4]
    row = table[table["measure"].str.startswith("S > W")].iloc[0]
    assert row["value"] == pytest.approx((s.mean() - w.mean()) / np.sqrt((s.var(ddof=1) + w.var(ddof=1)) / 2), rel=1e-5)
    assert row["p"] == pytest.approx(stats.ttest_ind(s, w, equal_var=False, alternative="greater").pvalue, rel=1e-4)


def test_confounds_are_taken_out_of_responses(topo):
    data = localizer(topo, effect=0.0)
    texts = ["long words everywhere" if c == "sentence" else "as is" for c in data["condition"].values]
    rng = np.random.default_rng(3)
    n_tokens = np.where(data["condition"] == "sentence", 9.0, 4.0) + rng.normal(size=48)
    data = data.assign_coords(text=("stimulus", texts), n_tokens=("stimulus", n_tokens))
    data.values[:] += n_tokens[:, None]
    both = ("sentence", "nonword")
    assert abs(ts.contrast(data, "sentence", "nonword").t).median() > 5
    assert abs(ts.contrast(ts.without_confounds(data, ["tokens"], *both), "sentence", "nonword").t).median() < 1.5
    assert ts.without_confounds(data, [], *both).equals(data)
    with pytest.raises(ValueError, match="no confound 'colour'; there are: length, frequency, tokens"):
        ts.without_confounds(data, ["colour"], *both)
    with pytest.raises(ValueError, match="no numbers"):
        ts.without_confounds(data, ["text"], *both)


def test_negative_controls_split_within_conditions(topo):
    data = localizer(topo, effect=0.0)
    texts = [("the house " if i % 3 else "zygote quark ") * (1 + i % 5) for i in range(48)]
    controls = ts.negative_controls(data.assign_coords(text=("stimulus", texts)), "sentence", "nonword")
    assert list(controls) == ["random-labels", "word-frequency", "length"]
    letters = np.array([sum(map(str.isalpha, text)) for text in texts])
    for name, conditions in (("length", ("long", "short")), ("word-frequency", ("frequent", "rare"))):
        labels = controls[name]["condition"].values
        for condition in ("sentence", "nonword"):
            members = data["condition"].values == condition
            assert (labels[members] == conditions[0]).sum() == 12
    labels = controls["length"]["condition"].values
    for condition in ("sentence", "nonword"):
        members = data["condition"].values == condition
        assert letters[members & (labels == "long")].min() >= letters[members & (labels == "short")].max()


def test_a_third_condition_is_no_confound(topo):
    # c responds strongly and is long; a and b differ in length alone, to which nothing responds.
    data = responses(topo, list("abc") * 30, {"a": 0.0, "b": 0.0, "c": 5.0})
    length = np.select([data["condition"] == c for c in "abc"], [10.0, 12.0, 20.0]) + np.tile([-1.0, 0.0, 1.0], 30)
    data = data.assign_coords(syllables=("stimulus", length + np.random.default_rng(0).normal(size=90)))
    left = ts.without_confounds(data, ["syllables"], "a", "b")
    assert set(left["condition"].values) == {"a", "b"}
    assert (ts.contrast(left, "a", "b").q < 0.05).mean() < 0.02


def test_t_without_confounds_is_that_of_the_regression_where_they_are_balanced(topo):
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    data = localizer(topo, effect=0.4)
    confounds = np.repeat(rng.normal(size=(24, 2)), 2, axis=0)  # the same in both conditions
    data.values[:] += confounds @ rng.normal(size=(2, data.sizes["unit"]))
    data = data.assign_coords(one=("stimulus", confounds[:, 0]), two=("stimulus", confounds[:, 1]))
    t = ts.contrast(ts.without_confounds(data, ["one", "two"], "sentence", "nonword"), "sentence", "nonword").t.values
    even = (np.arange(48) // 2 % 2 == 0)[:, None]  # of each condition; halves have slopes of their own
    design = [data["condition"].values[:, None] == "sentence", even, confounds * even, confounds * ~even]
    design = sm.add_constant(np.column_stack(design).astype(float))
    expected = [sm.OLS(data.values[:, unit].astype(float), design).fit().tvalues[1] for unit in range(40)]
    np.testing.assert_allclose(t[:40], expected, rtol=1e-4, atol=1e-4)


def test_few_texts_a_confound_are_refused(topo):
    data = localizer(topo).assign_coords({f"c{i}": ("stimulus", np.arange(48.0) ** i) for i in range(3)})
    with pytest.raises(ValueError, match="3 confounds and 48 texts: take out one confound for 20 texts at most"):
        ts.without_confounds(data, ["c0", "c1", "c2"], "sentence", "nonword")


def test_random_labels_are_no_draw_of_their_own_null(topo):
    data = localizer(topo, effect=0.0)
    own = ts.negative_controls(data, "sentence", "nonword", seed=3)["random-labels"]["condition"].values == "random-a"
    draws, _ = shuffled_labels(*condition_masks(data, "sentence", "nonword"), 99, np.random.default_rng(3))
    assert not (draws == own).all(axis=1).any()


def test_splits_within_conditions_are_as_sensitive_where_the_contrast_is_strong(topo):
    texts = ["letters " * (1 + i % 7) for i in range(48)]
    letters = np.array([len(text) for text in texts])
    found = []
    for effect in (0.0, 20.0):
        data = localizer(topo, effect=effect).assign_coords(text=("stimulus", texts))
        data.values[:, patch(topo)] += 0.1 * letters[:, None]
        split = ts.negative_controls(data, "sentence", "nonword")["length"]
        found.append(float((ts.contrast(split, "long", "short").q < 0.05).mean()))
    assert found[0] > 0.1
    assert found[1] == pytest.approx(found[0], abs=0.02)


def test_units_that_do_not_vary_but_differ_break_nothing(topo):
    data = localizer(topo)
    data.values[:, 5] = (data["condition"] == "sentence").astype(float)
    for method in ("mass", "tfce"):
        table, _ = ts.selective_clusters(data, "sentence", "nonword", permutations=9, method=method)
        assert np.isfinite(table["p"].astype(float)).all()
    fraction = ts.map_statistics(data, "sentence", "nonword", (0.0,), permutations=9)["significant_fraction"]
    assert fraction.max() <= 1


def test_a_localizer_of_a_percentage_takes_no_unit_that_prefers_the_other_condition(topo):
    data = localizer(topo, effect=0.0)
    data.values[::2] -= 5
    assert not ts.localize(data, percent=10.0)["mask"].any()
