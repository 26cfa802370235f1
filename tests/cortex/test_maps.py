import numpy as np
import pytest
import xarray as xr
from tests.cortex.planted import SIDE, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.cortex.maps import comparison_maps, joined_maps, maps_of_models
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


def on_shared_sheets(layers, prefix=""):
    """The maps of noise in a model with two shared sheets: 2x2 cells for attention, 1x4 for MLP, two units a tap."""
    cells = {"attn": ((2, 2), [[0, 0], [0, 1], [1, 0], [1, 1]]), "mlp": ((1, 4), [[0, 0], [0, 1], [0, 2], [0, 3]])}
    topo = ts.Topography(
        {
            kind: ts.Sheet(
                shape, {f"{prefix}{n}.{kind}": np.array(at[2 * i : 2 * i + 2]) for i, n in enumerate(layers)}
            )
            for kind, (shape, at) in cells.items()
        }
    )
    data = to_stimuli(topo, np.random.default_rng(0).normal(size=(10, 8)), ["a", "b"] * 5)
    return comparison_maps(ts.Comparison(data, "a", "b"), shapes(topo))


def taps_by_name(maps):
    """The name of the tap of each cell with a unit."""
    names = maps["tap"].attrs["names"].split(", ")
    numbers = maps["tap"].values
    return [names[int(number)] for number in numbers[np.isfinite(numbers)]]


def test_several_shared_sheets_keep_the_names_of_their_taps_also_beside_other_models(tmp_path):
    one, other = on_shared_sheets((0, 1)), on_shared_sheets((1, 2), "h.")
    attn, mlp = ([f"{n}.{kind}" for n in (0, 0, 1, 1)] for kind in ("attn", "mlp"))
    assert taps_by_name(one) == [*attn, *mlp]
    alone = comparison_maps(ts.Comparison(responses(cortex()), "a", "b"), {"tap0": (SIDE, SIDE), "tap1": (SIDE, SIDE)})
    together = maps_of_models({name: joined_maps([maps]) for name, maps in (("x", one), ("y", other), ("z", alone))})
    together.to_netcdf(tmp_path / "maps.nc")
    stored = xr.load_dataset(tmp_path / "maps.nc")
    assert taps_by_name(stored.sel(model="x")) == [*attn, *mlp]
    assert taps_by_name(stored.sel(model="y")) == [f"h.{n}.{kind}" for kind in ("attn", "mlp") for n in (1, 1, 2, 2)]
    assert stored["tap"].sel(model="z").isnull().all()
    grid = stored["t"].sel(model="y", contrast="a:b", negative_control="", fwhm_mm=0.0, sheet="mlp")
    assert grid["tap"].attrs["names"].split(", ")[int(grid["tap"][0, 3])] == "h.2.mlp"
