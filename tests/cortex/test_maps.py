import numpy as np
import pytest
from tests.cortex.planted import SIDE, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.cortex.maps import comparison_maps
from toposheet.sheet import random_places
from toposheet.stimuli.contrasts import Contrast


def shapes(topo):
    return {name: sheet.shape for name, sheet in topo.sheets.items()}


def two_contrasts(topo):
    """a against b in all texts and in half of them, each with its negative controls."""
    data = responses(topo, effect=1.0)
    texts = ["word " * (1 + i // 8) for i in range(80)]
    data = data.assign_coords(text=("stimulus", texts), kind=("stimulus", ["x"] * 40 + ["y"] * 40))
    compared = []
    for contrast in (Contrast("a", "b"), Contrast("a", "b", where=("kind", "y"))):
        comparison = ts.Comparison(data, contrast)
        compared += [comparison, *ts.negative_controls(comparison).values()]
    return data, compared


def test_maps_of_contrasts_and_their_negative_controls_lie_on_their_sheets():
    topo = cortex()
    data, compared = two_contrasts(topo)
    controls = ["", "random-labels", "length"]
    names = [(contrast, control) for contrast in ("a:b", "y a:b") for control in controls]
    assert [(one.name, one.negative_control) for one in compared] == names
    maps = [comparison_maps(comparison, shapes(topo), (0.0, 2.0)) for comparison in compared]
    all_kinds, one_kind = maps[0], maps[3]
    for one, (contrast, control) in zip(maps, names, strict=True):
        sizes = {"contrast": 1, "negative_control": 1, "fwhm_mm": 2, "sheet": 2, "y": SIDE, "x": SIDE}
        assert dict(one.sizes) == sizes
        assert one["contrast"].item() == contrast
        assert one["negative_control"].item() == control
    expected = topo.to_grid(compared[0].t)["tap1"]
    np.testing.assert_allclose(all_kinds["t"].sel(contrast="a:b", fwhm_mm=0.0, sheet="tap1").squeeze(), expected)
    alone = ts.Comparison(data.isel(stimulus=slice(40, 80)), "a", "b").t
    seen = one_kind["t"].sel(contrast="y a:b", fwhm_mm=0.0, sheet="tap0").squeeze()
    np.testing.assert_allclose(seen, topo.to_grid(alone)["tap0"])
    for name in ("t", "q", "d", "d_low", "d_high"):
        seen = all_kinds[name].sel(fwhm_mm=2.0, sheet="tap1").squeeze()
        np.testing.assert_array_equal(seen, topo.to_grid(getattr(compared[0].readout(2.0), name))["tap1"])


def test_an_effect_is_found_where_it_is_planted_and_in_no_negative_control():
    _, compared = two_contrasts(cortex())
    result = {}
    for comparison in compared:
        table = ts.topography_statistics(comparison, fwhm_mm=(0.0,), permutations=9)
        rows = table.query("statistic == 'significant_fraction' and tap == '*'")
        result[comparison.name, comparison.negative_control] = rows["value"].item()
        clusters, _ = ts.selective_clusters(comparison, permutations=9)
        if not comparison.negative_control:
            assert set(clusters["contrast"]) == {comparison.name}
    assert result["a:b", ""] > 0.1
    assert max(value for (_, control), value in result.items() if control) < 0.05


def test_sheets_of_different_shapes_share_a_file():
    rng = np.random.default_rng(0)
    sheets = {
        name: ts.Sheet(shape, {name: random_places(shape[0] * shape[1], shape, rng)})
        for name, shape in (("s", (3, 4)), ("l", (5, 6)))
    }
    topo = ts.Topography(sheets)
    data = to_stimuli(topo, rng.normal(size=(10, 42)), ["a", "b"] * 5)
    maps = comparison_maps(ts.Comparison(data, "a", "b"), shapes(topo))
    assert int(np.isfinite(maps["t"].sel(sheet="s")).sum()) == 12
    assert int(np.isfinite(maps["t"].sel(sheet="l")).sum()) == 30


@pytest.mark.parametrize("spacing_mm", [1.0, 0.5])
def test_maps_say_how_far_apart_cells_are(spacing_mm):
    rng = np.random.default_rng(0)
    topo = ts.Topography({"s": ts.Sheet((4, 4), {"tap": random_places(16, (4, 4), rng)}, spacing_mm)})
    data = to_stimuli(topo, rng.normal(size=(10, 16)), ["a", "b"] * 5)
    assert comparison_maps(ts.Comparison(data, "a", "b"), shapes(topo))["spacing_mm"].values.tolist() == [spacing_mm]
