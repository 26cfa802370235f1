import re

import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import SIDE, compared, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.cortex.maps import comparison_maps
from toposheet.sheet import one_sheet, random_places
from toposheet.stats import gaussian_readout


def dense(data, fwhm_mm):
    """Every unit sees every unit of its tap by a Gaussian of their distance: one weight after another."""
    sigma = fwhm_mm / np.sqrt(8 * np.log(2))
    place = np.stack([data["y"].values, data["x"].values], axis=1) * data["spacing_mm"].values[:, None]
    squared = ((place[:, None] - place[None]) ** 2).sum(axis=-1)
    weights = np.exp(-squared / (2 * sigma**2)) * (data["tap"].values[:, None] == data["tap"].values)
    return data.values.astype(float) @ (weights / weights.sum(axis=1, keepdims=True)).T


def layout(kind):
    """A topography: two full sheets, sheets with holes, or one sheet of half-millimetre cells that two taps share."""
    rng = np.random.default_rng(1)
    if kind == "full":
        return cortex()
    if kind == "holes":
        places = {name: random_places(90, (SIDE, SIDE), rng) for name in ("one", "two")}
        return ts.Topography({name: ts.Sheet((SIDE, SIDE), {name: cells}) for name, cells in places.items()})
    cells = random_places(100, (SIDE, SIDE), rng)
    return ts.Topography({"cortex": ts.Sheet((SIDE, SIDE), {"one": cells[:60], "two": cells[60:]}, spacing_mm=0.5)})


@pytest.mark.parametrize("kind", ["full", "holes", "shared"])
@pytest.mark.parametrize("fwhm", [0.8, 2.0, 5.0])
def test_a_readout_is_the_comparison_of_responses_that_a_dense_gaussian_has_smoothed(kind, fwhm):
    topo = layout(kind)
    n_units = sum(topo.widths.values())
    data = to_stimuli(topo, np.random.default_rng(0).normal(size=(24, n_units)), ["a", "b"] * 12)
    seen, smooth = ts.Comparison(data, "a", "b").readout(fwhm), dense(data, fwhm)
    np.testing.assert_allclose(seen.responses, smooth, rtol=1e-4, atol=1e-5)
    expected = stats.ttest_ind(smooth[::2], smooth[1::2], equal_var=False)
    np.testing.assert_allclose(seen.t, expected.statistic, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(seen.q, stats.false_discovery_control(expected.pvalue), rtol=5e-3)


def test_confounds_are_taken_out_before_the_readout():
    rng = np.random.default_rng(0)
    data = to_stimuli(cortex(), rng.normal(size=(80, 288)), ["a", "b"] * 40, level=rng.normal(size=80))
    comparison = ts.Comparison(data, "a", "b", confounds=["level"])
    np.testing.assert_allclose(
        comparison.readout(2.0).responses, dense(comparison.responses, 2.0), rtol=1e-4, atol=1e-5
    )


def test_readout_of_responses_is_the_readout_of_their_maps():
    topo = cortex()
    comparison = ts.Comparison(responses(topo), "a", "b")
    expected = gaussian_readout(topo.to_grid(comparison.responses)["tap1"].values, 3.0)
    seen = topo.to_grid(comparison.readout(3.0).responses)["tap1"]
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_readout_is_in_millimetres():
    rng = np.random.default_rng(0)
    topo = ts.Topography({"tap": ts.Sheet((4, 4), {"tap": random_places(16, (4, 4), rng)}, spacing_mm=0.5)})
    data = to_stimuli(topo, rng.normal(size=(6, 16)), ["a", "b"] * 3)
    expected = gaussian_readout(topo.to_grid(data)["tap"].values, 4.0)
    seen = ts.Comparison(data, "a", "b").readout(2.0).responses
    np.testing.assert_allclose(topo.to_grid(seen)["tap"], expected, rtol=1e-5, atol=1e-6)


def test_every_readout_knows_the_comparison_that_it_is_of():
    comparison = compared(n=6)
    seen = comparison.readout(2.0)
    assert seen.raw is comparison.raw is comparison
    assert comparison.readout(0.0) is comparison
    assert seen.readout(0.0) is comparison
    assert comparison.readout(2.0) is seen
    assert seen.readout(3.0) is comparison.readout(3.0)
    assert (comparison.fwhm_mm, seen.fwhm_mm) == (0.0, 2.0)


def test_a_readout_of_a_readout_smooths_once():
    comparison = compared(n=6)
    alone = compared(n=6).readout(3.0)
    np.testing.assert_array_equal(comparison.readout(2.0).readout(3.0).responses, alone.responses)


@pytest.mark.parametrize("fwhm", [-1.0, float("nan"), float("inf")])
def test_a_width_that_no_gaussian_has_is_refused(fwhm):
    with pytest.raises(ValueError, match="fwhm_mm is"):
        compared(n=6).readout(fwhm)


def test_a_readout_of_maps_shows_what_it_was_planted_for_at_the_same_place():
    comparison = compared(effect=1.5)
    grid = comparison.readout(2.0).maps()["tap0"].values
    assert grid[3:7, 4:8].min() > 5
    assert abs(grid[10:, 10:]).max() < 5


@pytest.mark.parametrize(
    ("function", "option"),
    [
        (ts.topography_statistics, "fwhm_mm=(2.0,)"),
        (ts.map_statistics, "fwhm_mm=(2.0,)"),
        (ts.plot, "fwhm_mm=2.0"),
        (lambda comparison: comparison_maps(comparison, {}), "fwhm_mm=(2.0,)"),
    ],
)
def test_functions_that_make_readouts_refuse_a_comparison_that_is_one(function, option):
    expected = f"comparison is a readout of 2 mm: give the raw comparison (comparison.raw), and {option}"
    with pytest.raises(ts.UserError, match=f"^{re.escape(expected)}$"):
        function(compared().readout(2.0))


def test_an_effect_in_one_tap_of_a_sheet_is_not_seen_in_another(rng):
    topo = ts.Topography({"cortex": one_sheet({"a": 72, "b": 72}, "interleaved", None, 1.0, rng)})
    values = rng.normal(size=(40, 144))
    values[::2, 72:] += 3.0
    comparison = ts.Comparison(to_stimuli(topo, values, ["x", "y"] * 20), "x", "y")
    significant = (comparison.readout(2.0).q.values < 0.05).reshape(2, 72).mean(axis=1)
    assert significant[0] < 0.1
    assert significant[1] == 1
