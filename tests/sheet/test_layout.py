import numpy as np
import pytest
import xarray as xr

from toposheet.sheet import on_sheets


def two_sheets(dtype=float):
    """Five units on two sheets, out of order; no unit is in the last row and column of the first sheet."""
    places = {
        "sheet": ["one", "two", "one", "two", "one"],
        "tap": ["a", "c", "b", "c", "a"],
        "y": [0, 2, 1, 0, 0],
        "x": [1, 0, 1, 1, 0],
        "spacing_mm": [1.0, 0.5, 1.0, 0.5, 1.0],
    }
    values = np.arange(15).reshape(3, 5).astype(dtype)
    coordinates = {name: ("unit", column) for name, column in places.items()}
    coordinates["condition"] = ("stimulus", ["x", "y", "x"])
    return xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates, name="response")


def test_every_value_lies_in_the_cell_of_its_unit_on_its_sheet():
    values = two_sheets()
    maps = on_sheets(values)
    assert list(maps) == ["one", "two"]
    laid_out = 0
    for unit in range(5):
        unit_values = values.isel(unit=unit)
        cell = maps[unit_values["sheet"].item()][:, unit_values["y"].item(), unit_values["x"].item()]
        np.testing.assert_array_equal(cell, unit_values)
        laid_out += cell.size
    assert sum(int(np.isfinite(grid).sum()) for grid in maps.values()) == laid_out


def test_cells_without_a_unit_are_nan_and_sheets_as_large_as_their_units_unless_their_shape_is_given():
    maps = on_sheets(two_sheets())
    assert maps["one"].shape == (3, 2, 2)
    assert np.isnan(maps["one"][:, 1, 0]).all()
    whole = on_sheets(two_sheets(), {"one": (3, 4), "two": (5, 2), "three": (9, 9)})
    assert whole["one"].shape == (3, 3, 4)
    assert whole["two"].shape == (3, 5, 2)
    np.testing.assert_array_equal(whole["one"][:, :2, :2], maps["one"])
    assert int(np.isfinite(whole["one"]).sum()) == 9


def test_maps_keep_names_and_coordinates_of_what_is_no_unit():
    grid = on_sheets(two_sheets())["two"]
    assert grid.dims == ("stimulus", "y", "x")
    assert grid.name == "response"
    assert grid.attrs["spacing_mm"] == 0.5
    assert set(grid.coords) == {"condition"}
    assert grid["condition"].values.tolist() == ["x", "y", "x"]


def test_one_value_for_each_unit_makes_one_map_and_the_order_of_dimensions_does_not_matter():
    values = two_sheets()
    for sheet, grid in on_sheets(values.isel(stimulus=1, drop=True)).items():
        assert grid.dims == ("y", "x")
        np.testing.assert_array_equal(grid, on_sheets(values)[sheet][1])
    for sheet, grid in on_sheets(values.transpose("unit", "stimulus")).items():
        np.testing.assert_array_equal(grid, on_sheets(values)[sheet])


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_maps_are_floating_point_because_cells_may_be_empty(dtype):
    values = two_sheets(dtype)
    grid = on_sheets(values)["one"]
    assert grid.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(grid[:, 0, 1], values.values[:, 0])


def test_units_that_were_left_out_are_holes():
    values = two_sheets().isel(unit=[0, 1, 2, 3])
    whole = on_sheets(values, {"one": (2, 2), "two": (3, 2)})
    assert np.isnan(whole["one"][:, 0, 0]).all()
