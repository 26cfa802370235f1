import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.cortex.planted import SIDE, compared, language_comparison, localizer, overlap, patch, to_stimuli

import toposheet as ts
from toposheet.cortex.cluster_inference import _skewness
from toposheet.stats import gaussian_readout, shuffled_labels


def test_clusters_are_the_planted_ones_in_order_of_taps(topo):
    clusters = ts.grow_clusters(language_comparison(localizer(topo)))
    assert clusters.max() == 2
    planted, first = patch(topo), topo.unit_coordinates()["tap"][1] == "tap0"
    assert overlap(clusters.values == 1, planted & first) > 0.8
    assert overlap(clusters.values == 2, planted & ~first) > 0.8


def test_clusters_of_a_localizer_are_those_of_its_mask(topo):
    comparison = language_comparison(localizer(topo))
    for few, many in (({"percent": 5.0}, {"percent": 25.0}), ({"q": 1e-9}, {"q": 0.2})):
        masks = [ts.localize(comparison, **options) for options in (few, many)]
        clusters = [ts.grow_clusters(mask, min_size=1).values > 0 for mask in masks]
        for mask, cluster in zip(masks, clusters, strict=True):
            np.testing.assert_array_equal(cluster, mask["mask"])
        assert clusters[0].sum() < clusters[1].sum()
    large = ts.grow_clusters(ts.localize(comparison, percent=25.0), min_size=10)
    assert np.bincount(large.values)[1:].min() >= 10
    assert (large.values > 0).sum() < 72


def test_units_that_prefer_the_other_condition_are_in_no_cluster(topo):
    assert ts.grow_clusters(ts.Comparison(localizer(topo), "nonword", "sentence")).max() == 0


@pytest.mark.parametrize("inference", ["mass", "tfce"])
def test_selective_clusters_are_the_planted_ones_and_survive_correction(topo, inference):
    table, units = ts.selective_clusters(language_comparison(localizer(topo)), inference=inference)
    real = table[table["p"] < 0.05]
    assert len(real) == 2
    assert (real["p"] == 0.01).all()
    assert (real["sign"] == 1).all()
    assert overlap((units["p"] < 0.05).values, patch(topo)) > 0.8
    top = table.iloc[0]
    assert (units["cluster"].values == 1).sum() == top["n_units"]
    assert top["mass"] == pytest.approx(units["t"].values[units["cluster"].values == 1].sum(), rel=1e-6)


def test_the_peak_of_a_cluster_is_a_cell_of_its_sheet_where_the_first_rows_and_columns_are_empty(topo):
    data = localizer(topo)
    moved = data.assign_coords(y=data["y"] + 4, x=data["x"] + 2)
    table, other = (ts.selective_clusters(language_comparison(x))[0] for x in (data, moved))
    assert other["y"].tolist() == (table["y"] + 4).tolist()
    assert other["x"].tolist() == (table["x"] + 2).tolist()
    pd.testing.assert_frame_equal(other.drop(columns=["y", "x"]), table.drop(columns=["y", "x"]))


def test_cluster_inference_agrees_with_mne(topo):
    from mne.stats import permutation_cluster_test
    from mne.stats.cluster_level import _find_clusters, _setup_adjacency
    from scipy.sparse import block_diag
    from tests.stats.test_clusters import adjacency

    data = localizer(topo, effect=0.5, n=12)
    comparison = language_comparison(data)
    table, _ = ts.selective_clusters(comparison, permutations=99, forming_p=0.02)
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
    conditions = data["condition"].values
    for a in shuffled_labels(conditions == "sentence", 99, np.random.default_rng(0)):
        sums = _find_clusters(t(x[a], x[~a]), threshold, tail=0, adjacency=found_by)[1]
        draws.append(np.abs(sums).max(initial=0))
    expected = [(1 + (np.array(draws) >= abs(mass) * (1 - 1e-6)).sum()) / 100 for mass in masses]
    np.testing.assert_allclose(table["p"], expected)


def test_smooth_noise_makes_no_selective_cluster(topo):
    rng = np.random.default_rng(5)
    data = localizer(topo, effect=0.0)
    grids = gaussian_readout(rng.normal(size=(48, 2, SIDE, SIDE)), 5.0)
    for i, tap in enumerate(("tap0", "tap1")):
        members = data["tap"].values == tap
        data.values[:, members] = grids[:, i][:, data["y"].values[members], data["x"].values[members]]
    comparison = language_comparison(data)
    assert (ts.map_statistics(comparison, fwhm_mm=(0.0,))["morans_i"] > 0.7).all()
    table, _ = ts.selective_clusters(comparison, forming_p=0.05)
    assert (table["p"] > 0.05).all()


def test_units_that_do_not_vary_but_differ_break_nothing(topo):
    data = localizer(topo)
    data.values[:, 5] = (data["condition"] == "sentence").astype(float)
    comparison = language_comparison(data)
    for inference in ("mass", "tfce"):
        table, _ = ts.selective_clusters(comparison, permutations=9, inference=inference)
        assert np.isfinite(table["p"].astype(float)).all()
    fraction = ts.map_statistics(comparison, fwhm_mm=(0.0,), permutations=9)["significant_fraction"]
    assert fraction.max() <= 1


def test_clusters_are_those_of_the_readout_of_the_comparison_and_say_which():
    seen = compared(effect=1.0).readout(1.0)
    table, units = ts.selective_clusters(seen, permutations=9, seed=3, forming_p=0.1)
    assert len(table) > 0
    assert (table["fwhm_mm"] == 1.0).all()
    np.testing.assert_array_equal(units["t"], seen.t)
    for _, row in table.iterrows():
        members = units["cluster"].values == row["cluster"]
        assert row["n_units"] == members.sum()
        assert row["mass"] == pytest.approx(seen.t.values[members].sum(), rel=1e-6)
        assert abs(row["peak_t"]) == pytest.approx(np.abs(seen.t.values[members]).max())
        peak = (units["tap"] == row["tap"]) & (units["y"] == row["y"]) & (units["x"] == row["x"])
        assert units["t"].values[peak.values].item() == pytest.approx(row["peak_t"])


def test_every_option_of_cluster_inference_counts():
    seen = compared(effect=0.45).readout(1.0)
    usual, _ = ts.selective_clusters(seen, permutations=9)
    for options in ({"forming_p": 0.1}, {"inference": "tfce"}, {"contiguity": "rook"}, {"seed": 1, "permutations": 19}):
        other, _ = ts.selective_clusters(seen, **{"permutations": 9, **options})
        assert not other.equals(usual), options


def noise_of(seed, n, power=1.0, sd=(1.0, 1.0), opposite=False, heavy=False):
    """The comparison of smooth noise without effect: log-normal (power > 0), or heavy-tailed and symmetric."""
    rng = np.random.default_rng(seed)
    grids = gaussian_readout(rng.normal(size=(sum(n), SIDE, SIDE)), 2.0)
    grids /= grids.std()
    values = np.sinh(1.5 * grids) if heavy else np.exp(power * grids) if power else grids
    values[..., ::2] *= -1 if opposite else 1
    values *= np.repeat(sd, n)[:, None, None]
    cells = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)
    topo = ts.Topography({"s": ts.Sheet((SIDE, SIDE), {"tap": cells})})
    return ts.Comparison(to_stimuli(topo, values.reshape(sum(n), -1), ["a"] * n[0] + ["b"] * n[1]), "a", "b")


SKEWED = (
    r"a:b, raw: clusters get no p \(nan\), because the noise of tap is skewed, and .* compare equal numbers of texts"
)


@pytest.mark.parametrize(
    "options", [{"n": (20, 60)}, {"n": (30, 30), "sd": (3.0, 1.0)}, {"n": (20, 60), "opposite": True}]
)
@pytest.mark.parametrize("inference", ["mass", "tfce"])
def test_clusters_get_no_p_where_skewed_noise_makes_t_skewed(options, inference):
    with pytest.warns(UserWarning, match=SKEWED):
        table, units = ts.selective_clusters(noise_of(0, **options), inference=inference, forming_p=0.2)
    assert len(table) > 0 or inference == "tfce"
    assert table["p"].isna().all()
    assert units["p"].isnull().all()
    assert (units["cluster"].values > 0).sum() == table["n_units"].sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"n": (30, 30)}, {"n": (20, 60), "power": 0.0}, {"n": (10, 20), "power": 0.0}, {"n": (20, 60), "heavy": True},
        {"n": (20, 60), "power": 0.0, "sd": (3.0, 1.0)}, {"n": (4, 4), "power": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_clusters_keep_their_p_where_t_is_not_skewed(options):
    refused = [bool(_skewness(noise_of(seed, **options), seed)) for seed in range(40)]
    # The skewness of skewed samples varies more than that of the draws, so the rule is a little too careful there.
    assert np.mean(refused) <= (0.1 if options == {"n": (30, 30)} else 0.05)


def test_skewed_noise_in_one_region_of_the_sheet_is_seen():
    symmetric, skewed = noise_of(1, n=(25, 100), power=0.0), noise_of(1, n=(25, 100))
    left = symmetric.responses["x"].values < 5 / 12 * SIDE
    symmetric.responses.values[:, left] = skewed.responses.values[:, left]
    with pytest.warns(UserWarning, match=SKEWED):
        ts.selective_clusters(symmetric, permutations=19)


def test_the_skewness_of_a_unit_that_does_not_vary_is_not_asked():
    silent = noise_of(0, (20, 60))
    silent.responses.values[:] = 1.0
    assert _skewness(silent, 0) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inference": "peak"}, "inference is 'peak': it must be 'mass' or 'tfce'"),
        ({"forming_p": 0.0}, "forming_p is 0"),
        ({"contiguity": "bishop"}, "contiguity"),
        ({"permutations": 1}, "permutations is 1"),
    ],
)
def test_settings_of_cluster_inference_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ts.selective_clusters(compared(n=6), **options)


def test_where_there_is_no_cluster_the_table_is_empty_and_has_its_columns():
    full, _ = ts.selective_clusters(compared(effect=1.5), permutations=2)
    empty, units = ts.selective_clusters(compared(n=6), permutations=2, forming_p=1e-6)
    assert len(empty) == 0
    assert empty.dtypes.tolist() == full.dtypes.tolist()
    assert list(empty) == list(full)
    assert not units["cluster"].any()
    assert (units["p"] == 1).all()
