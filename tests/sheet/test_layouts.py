import numpy as np
import pytest

from toposheet.sheet import Sheet, layout_of, one_sheet

WIDTHS = {"a": 60, "b": 35, "c": 60}


def owners(sheet):
    grid = np.full(sheet.shape, -1)
    for number, (y, x) in enumerate(places.T for places in sheet.places.values()):
        grid[y, x] = number
    return grid


def test_bands_are_whole_columns_side_by_side_in_order(rng):
    sheet = one_sheet(WIDTHS, "bands", None, 1.0, rng)
    grid = owners(sheet)
    assert sheet.shape == (6, 10 + 6 + 10)  # 60 units have a sheet of 6x10 cells
    for number, columns in enumerate((slice(0, 10), slice(10, 16), slice(16, 26))):
        assert set(np.unique(grid[:, columns])) <= {number, -1}
    assert (grid >= 0).sum() == 155


@pytest.mark.parametrize("layout", ["interleaved", "free"])
def test_every_unit_has_a_cell_of_its_own_on_the_most_square_sheet(rng, layout):
    sheet = one_sheet({"a": 64, "b": 64, "c": 72}, layout, None, 1.0, rng)
    assert sheet.shape == (10, 20)
    assert (owners(sheet) >= 0).all()


def test_every_square_of_an_interleaved_sheet_has_units_of_all_taps(rng):
    grid = owners(one_sheet(dict.fromkeys("abcdefgh", 256), "interleaved", None, 1.0, rng))
    windows = np.lib.stride_tricks.sliding_window_view(grid, (9, 9)).reshape(-1, 81)
    counts = np.stack([np.bincount(window, minlength=8) for window in windows])
    assert counts.min() >= 4  # 10 of each on average
    beside = (grid[:, 1:] == grid[:, :-1]).mean()
    assert beside < 0.2  # no stripes of one tap


def test_empty_cells_of_an_interleaved_sheet_are_spread_evenly(rng):
    grid = owners(one_sheet({"a": 50, "b": 50}, "interleaved", (10, 20), 1.0, rng))
    quarters = [(part == -1).mean() for half in np.split(grid, 2) for part in np.split(half, 2, axis=1)]
    np.testing.assert_allclose(quarters, 0.5, atol=0.1)


@pytest.mark.parametrize("layout", ["bands", "interleaved", "free"])
@pytest.mark.parametrize("shape", [None, (13, 40)])
def test_the_layout_of_a_sheet_is_found_from_its_cells(rng, layout, shape):
    assert layout_of(one_sheet(WIDTHS, layout, shape, 1.0, rng)) == layout


def test_a_sheet_of_one_tap_has_the_layout_per_tap_and_shared_cells_are_free():
    cells = np.array([[0, 0], [0, 1]])
    assert layout_of(Sheet((1, 2), {"a": cells})) == "per_tap"
    assert layout_of(Sheet((1, 2), {"a": cells, "b": cells}, shared_cells=True)) == "free"


@pytest.mark.parametrize(
    ("layout", "shape", "message"),
    [
        ("bands", (6, 25), r"3 bands of whole columns need 6x26 cells, but the sheet has 6x25: use a sheet of 6x26"),
        ("free", (10, 15), r"has 150 cells, but 3 taps have 155 units: use a larger sheet, for example"),
        ("interleaved", (1, 1), "3 taps have 155 units"),
    ],
)
def test_a_sheet_that_is_too_small_is_refused_and_a_larger_one_is_named(rng, layout, shape, message):
    with pytest.raises(ValueError, match=message):
        one_sheet(WIDTHS, layout, shape, 1.0, rng)
