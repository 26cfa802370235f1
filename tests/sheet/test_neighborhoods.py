import numpy as np
import pytest

from toposheet.sheet import Neighborhoods, Sheet, random_places


def full_sheet(height, width, seed=0):
    return Sheet((height, width), {"tap": random_places(height * width, (height, width), np.random.default_rng(seed))})


@pytest.mark.parametrize(("window", "side"), [("open", 9), ("closed", 11)])
def test_radius_five_makes_the_published_windows(window, side):
    table = Neighborhoods.of(full_sheet(28, 28), 5, window=window)
    assert table.units.shape == ((28 - side + 1) ** 2, side * side)


def test_the_units_of_a_window_are_those_whose_places_lie_in_it():
    sheet = full_sheet(5, 6)
    table = Neighborhoods.of(sheet, 2)
    row, column = 1, 2
    window = table.units[row * 4 + column]
    inside = {
        unit
        for unit, (y, x) in enumerate(sheet.coordinates.tolist())
        if row <= y < row + 3 and column <= x < column + 3
    }
    assert set(window.tolist()) == inside


@pytest.mark.parametrize("metric", ["chebyshev", "euclidean"])
def test_nearness_is_that_of_the_places_of_the_units(metric):
    sheet = full_sheet(6, 6)
    table = Neighborhoods.of(sheet, 2, metric=metric)
    places = sheet.coordinates[table.units[7]]
    steps = np.abs(places[:, None] - places[None]).astype(float)
    distance = steps.max(-1) if metric == "chebyshev" else np.hypot(steps[..., 0], steps[..., 1])
    np.testing.assert_allclose(table.nearness, 1 / (1 + distance))


def test_a_sheet_smaller_than_the_window_is_one_window():
    table = Neighborhoods.of(full_sheet(3, 4), 5)
    assert table.units.shape == (1, 12)


def test_holes_are_marked_and_windows_with_fewer_than_three_units_left_out():
    places = np.array([[0, 0], [0, 1], [1, 0], [5, 5]])
    table = Neighborhoods.of(Sheet((6, 6), {"tap": places}), 2)
    assert ((table.units >= 0).sum(axis=1) >= 3).all()
    assert set(table.units.ravel().tolist()) == {-1, 0, 1, 2}


@pytest.mark.parametrize(
    ("radius", "window", "message"), [(0, "open", "at least 1"), (2, "ajar", "'open' or 'closed'")]
)
def test_options_out_of_range_are_refused(radius, window, message):
    with pytest.raises(ValueError, match=message):
        Neighborhoods.of(full_sheet(4, 4), radius, window=window)


def test_windows_of_shared_cells_have_all_units_of_their_cells(rng):
    places = rng.integers(0, 6, size=(40, 2))
    table = Neighborhoods.of(Sheet((6, 6), {"tap": places}, shared_cells=True), 2, metric="euclidean")
    expected = []
    for top in range(4):
        for left in range(4):
            inside = ((places >= [top, left]) & (places < [top + 3, left + 3])).all(axis=1)
            if inside.sum() >= 3:
                expected.append(set(np.flatnonzero(inside).tolist()))
    assert [set(row[row >= 0].tolist()) for row in table.units] == expected
    for row, nearness in zip(table.units, table.nearness, strict=True):
        units = row[row >= 0]
        distance = np.linalg.norm(places[units][:, None] - places[units][None], axis=-1)
        np.testing.assert_allclose(nearness[: len(units), : len(units)], 1 / (1 + distance), rtol=1e-6)


def test_stored_windows_are_taken_as_they_are():
    windows = np.array([[0, 3, 8, -1], [5, 2, 1, 7]])
    places = np.argwhere(np.ones((3, 3)))
    table = Neighborhoods.of(Sheet((3, 3), {"tap": places}, windows=windows), 5)
    np.testing.assert_array_equal(table.units, windows)
    assert table.nearness[0, 0, 2] == 1 / 3  # (0, 0) and (2, 2)
