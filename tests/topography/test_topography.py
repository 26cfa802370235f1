import numpy as np
import pytest
import torch
import xarray as xr

import toposheet as ts
from toposheet import Sheet, Subject, Topography, UserError


def test_every_tap_gets_its_own_full_square_sheet_and_placement(model):
    topo = Topography.per_tap(model, seed=0)
    assert topo.taps == [f"transformer.h.{i}.{kind}" for i in range(2) for kind in ("attn", "mlp")]
    assert all(sheet.shape == (6, 6) for sheet in topo.sheets.values())
    placements = {sheet.coordinates.tobytes() for sheet in topo.sheets.values()}
    assert len(placements) == 4


def test_equal_seeds_give_equal_places_and_others_do_not(model):
    one, two, three = (Topography.per_tap(model, seed=seed) for seed in (1, 1, 2))
    for name in one.sheets:
        np.testing.assert_array_equal(one.sheets[name].coordinates, two.sheets[name].coordinates)
        assert (one.sheets[name].coordinates != three.sheets[name].coordinates).any()


def test_a_sheet_too_small_names_the_tap_and_one_that_would_do(model):
    with pytest.raises(ValueError, match=r"transformer.h.0.attn: a 5x5 sheet has 25 cells.*for example 6x6"):
        Topography.per_tap(model, shape=(5, 5))


def test_a_tap_lives_on_one_sheet():
    sheet = Sheet((1, 1), {"tap": np.array([[0, 0]])})
    with pytest.raises(ValueError, match="more than one sheet"):
        Topography({"one": sheet, "two": sheet})


def test_a_model_that_lacks_a_tap_is_refused_in_one_wording_by_topography_and_subject(model):
    topo = Topography({"here": Sheet((6, 6), {"transformer.h.9.mlp": np.argwhere(np.ones((6, 6)))})})
    for refused in (topo.check, topo.check_taps, lambda model: Subject(model, topo)):
        with pytest.raises(UserError, match=r"a tap transformer\.h\.9\.mlp, which GPT2LMHeadModel does not have"):
            refused(model)


def test_to_grid_puts_each_unit_in_its_place(model, topo):
    names = {"tap": ("unit", topo.unit_coordinates()["tap"][1])}
    values = xr.DataArray(np.arange(144.0), dims="unit", coords=topo.unit_coordinates())
    grids = topo.to_grid(values)
    for tap in topo.taps:
        units = np.flatnonzero(names["tap"][1] == tap)
        for unit, (y, x) in zip(units, topo.sheets[tap].places[tap], strict=True):
            assert grids[tap].values[y, x] == unit
    assert grids[topo.taps[0]].dims == ("y", "x")


def test_to_grid_does_not_depend_on_the_order_of_units_and_leaves_missing_ones_nan(topo, rng):
    values = xr.DataArray(rng.normal(size=(2, 144)), dims=("stimulus", "unit"), coords=topo.unit_coordinates())
    shuffled = values.isel(unit=rng.permutation(144))
    for name, grid in topo.to_grid(values).items():
        np.testing.assert_array_equal(topo.to_grid(shuffled)[name], grid)
    part = topo.to_grid(values.isel(unit=slice(1, None)))[topo.taps[0]]
    assert np.isnan(part).sum() == 2


def test_to_grid_of_a_foreign_sheet_is_refused(topo):
    values = xr.DataArray(np.zeros(144), dims="unit", coords=topo.unit_coordinates())
    with pytest.raises(ValueError, match="the values have a sheet 'elsewhere'"):
        topo.to_grid(values.assign_coords(sheet=("unit", ["elsewhere"] * 144)))


def test_record_records_all_taps(model, topo):
    with topo.record(model) as activations:
        model(torch.arange(5)[None])
    assert list(activations) == topo.taps


def test_a_topography_prints_in_few_words_and_no_coordinates(model):
    topo = Topography.per_tap(model)
    assert repr(topo) == "Topography(144 units of 4 taps on 4 sheets of 6x6 cells 1 mm apart)"
    assert repr(topo) in topo._repr_html_()
    sheets = {
        f"{side}": Sheet((side, 2), {f"{side}": np.array([[0, 0]])}, spacing_mm=0.5 * side) for side in range(1, 6)
    }
    assert repr(Topography(sheets)).endswith("1 sheet of 3x2 cells 1.5 mm apart and 2 other shapes)")
    assert repr(sheets["2"]) == "Sheet(2x2 cells 1 mm apart, 1 unit of 2)"


@pytest.mark.parametrize("layout", ["bands", "interleaved", "free"])
def test_a_layout_puts_all_taps_on_one_sheet_in_the_order_of_the_network(model, layout):
    topo = ts.Topography.of(model, layout=layout, seed=1)
    assert list(topo.sheets) == ["cortex"]
    assert topo.taps == ts.Topography.per_tap(model, shape=(6, 6)).taps
    assert topo.sheets["cortex"].n_units == sum(topo.widths.values()) == topo.sheets["cortex"].n_occupied


def test_a_folder_keeps_shared_cells_stored_windows_residual_taps_and_their_fingerprint(model, tmp_path):
    rng = np.random.default_rng(0)
    taps = [f"transformer.h.{layer}.attn>residual" for layer in range(2)]
    windows = np.stack([rng.permutation(36)[:9] for _ in range(5)])
    windows[0, 4:] = -1

    def subject(windows):
        sheets = {
            tap: ts.Sheet((6, 6), {tap: rng_places(number)}, shared_cells=True, windows=windows)
            for number, tap in enumerate(taps)
        }
        return ts.Subject(model, ts.Topography(sheets))

    def rng_places(number):
        return np.random.default_rng(number).integers(0, 6, size=(36, 2))

    one = subject(windows)
    ts.save(tmp_path / "one", one)
    again = ts.load(tmp_path / "one")
    for name, sheet in one.topography.sheets.items():
        stored = again.topography.sheets[name]
        assert stored.shared_cells
        np.testing.assert_array_equal(stored.windows, windows)
        np.testing.assert_array_equal(stored.places[name], sheet.places[name])
    assert again.fingerprint == one.fingerprint != subject(None).fingerprint
