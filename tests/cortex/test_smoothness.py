import numpy as np
import pytest
from tests.cortex.planted import compared, noise, to_stimuli

import toposheet as ts
from toposheet.sheet import one_sheet, random_places
from toposheet.stats import gaussian_readout, grid_autocorrelation, half_width_fwhm, neighbour_fwhm


def maps(fwhm, n=40, side=40, seed=0):
    """Noise that a Gaussian of a width has smoothed, without its edges."""
    grids = gaussian_readout(np.random.default_rng(seed).normal(size=(n, side + 24, side + 24)), fwhm)
    return grids[:, 12:-12, 12:-12]


def test_the_autocorrelation_is_the_mean_correlation_of_cells_at_a_distance():
    grids = maps(2.0, n=6, side=8)[:, :7]
    grids[:, 2, 3] = np.nan
    grids[:, 4, 4] = 1.5  # a cell without variance is a hole
    noise_maps = grids - grids.mean(axis=0)
    expected = []
    for distance in (1, 2, 3):
        r = []
        for y in range(7):
            for x in range(8):
                for other in ((y + distance, x), (y, x + distance)):
                    if other[0] < 7 and other[1] < 8:
                        one, two = grids[:, y, x], grids[:, other[0], other[1]]
                        if np.std(one) > 0 and np.std(two) > 0:
                            r.append(np.corrcoef(one, two)[0, 1])
        expected.append(np.mean(r))
    np.testing.assert_allclose(grid_autocorrelation(noise_maps, 3), expected, atol=1e-10)
    assert np.isnan(grid_autocorrelation(noise_maps, 9)[-1])


@pytest.mark.parametrize("fwhm", [1.5, 3.0, 5.0])
def test_both_widths_are_those_of_the_gaussian_that_smoothed_the_noise(fwhm):
    grids = maps(fwhm)
    r, distance = grid_autocorrelation(grids - grids.mean(axis=0), 10), np.arange(1.0, 11.0)
    tolerance = 0.08 if fwhm > 2 else 0.15  # r is interpolated linearly, and weights are those of cells
    assert neighbour_fwhm(distance, r) == pytest.approx(fwhm, rel=tolerance)
    assert half_width_fwhm(distance, r) == pytest.approx(fwhm, rel=tolerance)


def test_white_noise_has_no_width_and_smoothness_beyond_the_sheet_is_not_known():
    distance = np.arange(1.0, 5.0)
    assert neighbour_fwhm(distance, np.array([-0.01, 0.0, 0.0, 0.0])) == 0
    assert half_width_fwhm(distance, np.array([0.0, 0.0, 0.0, 0.0])) == pytest.approx(np.sqrt(2) / 2)
    assert np.isnan(half_width_fwhm(distance, np.array([0.9, 0.8, 0.7, 0.6])))
    assert np.isnan(neighbour_fwhm(distance[:0], np.zeros(0)))


def test_each_condition_has_its_own_smoothness_in_mm():
    side, rng = 24, np.random.default_rng(0)
    grids = np.concatenate([maps(4.0, 20, side), maps(0.0, 30, side, 1)])
    cells = random_places(side**2, (side, side), rng)
    topo = ts.Topography({"s": ts.Sheet((side, side), {"tap": cells}, spacing_mm=0.5)})
    values = grids[:, cells[:, 0], cells[:, 1]] + 3 * (np.arange(50) < 20)[:, None]
    comparison = ts.Comparison(to_stimuli(topo, values, ["a"] * 20 + ["b"] * 30), "a", "b")
    table = ts.noise_smoothness(comparison, fwhm_mm=(0.0, 1.0))
    assert set(table["tap"]) == {"tap", "*"}
    widths = table[table["tap"] == "*"].groupby(["condition", "fwhm_mm"])["neighbour_fwhm_mm"].first()
    assert widths["a", 0.0] == pytest.approx(2.0, rel=0.1)
    assert widths["b", 0.0] < 0.4
    assert widths["b", 1.0] == pytest.approx(1.0, rel=0.15)  # the readout is the smoothness
    assert widths["a", 1.0] == pytest.approx(np.hypot(2.0, 1.0), rel=0.15)
    assert table["distance_mm"].unique().tolist() == [0.5 * cells for cells in range(1, 11)]


def test_groups_count_as_their_means_and_pairs_as_their_differences():
    groups = np.array([0, 10, 0, 11, 1, 11, 2, 12, 2, 12, 3, 13, 3, 14, 4, 14])
    data = noise(0, shared_words=groups)
    table = ts.noise_smoothness(ts.Comparison(data, "a", "b"), fwhm_mm=(0.0,))
    means = np.stack([data.values[groups == group].mean(axis=0, dtype=float) for group in range(5)])
    grid = np.full((5, 8, 8), np.nan)
    grid[:, data["y"], data["x"]] = means - means.mean(axis=0)
    shown = table[(table["condition"] == "a") & (table["tap"] == "tap")]["autocorrelation"]
    np.testing.assert_allclose(shown, grid_autocorrelation(grid, 7), atol=1e-6)
    paired = noise(0, pair=np.repeat(np.arange(8), 2))
    table = ts.noise_smoothness(ts.Comparison(paired, "a", "b", pairs="pair"), fwhm_mm=(0.0,))
    assert set(table["condition"]) == {"a - b"}
    differences = paired.values[::2].astype(float) - paired.values[1::2]
    grid = np.full((8, 8, 8), np.nan)
    grid[:, paired["y"], paired["x"]] = differences - differences.mean(axis=0)
    np.testing.assert_allclose(
        table[table["tap"] == "tap"]["autocorrelation"], grid_autocorrelation(grid, 7), atol=1e-6
    )


def test_wrong_arguments_are_refused():
    comparison = compared()
    with pytest.raises(ValueError, match=r"fwhm_mm is -1\.0"):
        ts.noise_smoothness(comparison, fwhm_mm=(-1.0,))
    with pytest.raises(ValueError, match=r"give the raw comparison .*noise_smoothness\(\.\.\., fwhm_mm=\(1,\)\)"):
        ts.noise_smoothness(comparison.readout(1.0))


def test_taps_of_different_extent_have_curves_of_their_own_length_and_a_mean(rng):
    topo = ts.Topography({"cortex": one_sheet({"a": 36, "b": 144}, "bands", None, 1.0, rng)})
    comparison = ts.Comparison(to_stimuli(topo, rng.normal(size=(20, 180)), ["x", "y"] * 10), "x", "y")
    table = ts.noise_smoothness(comparison, fwhm_mm=0.0)
    table = table[table["condition"] == "x"].groupby(["sheet", "tap"])["autocorrelation"]
    a, b, mean = (table.get_group(key).tolist() for key in (("cortex", "a"), ("cortex", "b"), ("*", "*")))
    assert [len(a), len(b), len(mean)] == [5, 10, 10]  # 6x6 and 6x24 cells
    assert mean[:5] == pytest.approx(np.mean([a, b[:5]], axis=0).tolist())
    assert mean[5:] == b[5:]
