import numpy as np
import pytest

from toposheet import Sheet
from toposheet.sheet import lay_out


def test_layout_puts_each_value_in_its_cell_and_leaves_holes_nan():
    grid = lay_out(np.array([1.0, 2.0]), np.array([[0, 1], [2, 0]]), (3, 2))
    np.testing.assert_array_equal(grid, [[np.nan, 1], [np.nan, np.nan], [2, np.nan]])


def test_layout_of_a_stack_lays_out_every_map():
    grids = lay_out(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0, 0], [0, 1]]), (1, 2))
    np.testing.assert_array_equal(grids, [[[1, 2]], [[3, 4]]])


def test_two_units_in_one_cell_are_refused_by_the_name_of_the_tap():
    with pytest.raises(ValueError, match="b has units that share a cell"):
        Sheet(shape=(2, 2), places={"a": np.array([[0, 0]]), "b": np.array([[0, 0]])})


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_distance_between_cells_that_is_not_positive_is_refused(spacing_mm):
    with pytest.raises(ValueError, match=r"spacing_mm is .*: it must be a positive number"):
        Sheet((1, 1), {"a": np.array([[0, 0]])}, spacing_mm)


@pytest.mark.parametrize("place", [(2, 0), (0, 2), (-1, 0)])
def test_a_unit_outside_the_grid_is_refused(place):
    with pytest.raises(ValueError, match="outside its 2x2 sheet"):
        Sheet(shape=(2, 2), places={"a": np.array([place])})


def test_a_cell_that_units_share_shows_the_mean_of_its_units_without_those_that_are_nan():
    places = np.array([[0, 1], [2, 0], [0, 1], [0, 1]])
    grid = lay_out(np.array([[1.0, 2.0, 3.0, np.nan], [5.0, np.nan, 7.0, 9.0]]), places, (3, 2))
    np.testing.assert_array_equal(grid[0], [[np.nan, 2], [np.nan, np.nan], [2, np.nan]])
    np.testing.assert_array_equal(grid[1], [[np.nan, 7], [np.nan, np.nan], [np.nan, np.nan]])


def test_units_share_cells_only_if_this_is_said_and_the_sheet_counts_them():
    places = {"a": np.array([[0, 0], [0, 0], [1, 1]])}
    sheet = Sheet((2, 2), places, shared_cells=True)
    assert sheet.n_occupied == 2
    assert "1 of them in the cell of another unit" in repr(sheet)
    with pytest.raises(ValueError, match="shared_cells=True"):
        Sheet((2, 2), places)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.array([[0, 1, 4]]), "the windows have the units 0 to 4, but the sheet has 4 units"),
        (np.array([[0, 1, -2]]), "the windows have the units -2 to 1"),
        (np.array([[0, 1, -1]]), "a window has fewer than 3 units"),
    ],
)
def test_stored_windows_that_do_not_fit_the_units_are_refused(windows, message):
    with pytest.raises(ValueError, match=message):
        Sheet((2, 2), {"a": np.argwhere(np.ones((2, 2)))}, windows=windows)


def test_labels_numbers_of_units_and_false_discovery_rates_of_a_shared_cell_are_no_means():
    places = np.array([[0, 0], [1, 1], [0, 0], [0, 0]])
    values = np.array([[0.0, 1.0, 1.0, np.nan], [3.0, 2.0, 5.0, 0.0]])
    for shared, first in (("largest", [1, 5]), ("smallest", [0, 0])):
        grid = lay_out(values, places, (2, 2), shared)
        np.testing.assert_array_equal(grid[:, 0, 0], first)
        np.testing.assert_array_equal(grid[:, 1, 1], [1, 2])
        assert np.isnan(grid[:, 0, 1]).all()
    np.testing.assert_array_equal(lay_out(values[1], places, (2, 2), "sum"), [[8, np.nan], [np.nan, 2]])


def test_a_sheet_whose_units_moved_has_no_stored_windows():
    places = np.stack(np.divmod(np.arange(6), 3), axis=1)
    sheet = Sheet((2, 3), {"a": places}, windows=np.array([[0, 1, 3]]))
    assert sheet.moved({"a": places.copy()}, shared_cells=False).windows is sheet.windows
    moved = sheet.moved({"a": places[::-1]}, shared_cells=True)
    assert (moved.windows, moved.shared_cells) == (None, True)
    np.testing.assert_array_equal(moved.coordinates, places[::-1])
