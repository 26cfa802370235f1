import re

import numpy as np
import pytest

from toposheet.sheet import distances, random_places, square_shape


def test_square_shape_of_the_papers_width():
    assert square_shape(784) == (28, 28)


@pytest.mark.parametrize(
    ("width", "shape"), [(768, (24, 32)), (896, (28, 32)), (2, (1, 2)), (3, (1, 3)), (38, (6, 7)), (1031, (32, 33))]
)
def test_a_width_that_fills_no_square_names_the_rectangle_to_ask_for(width, shape):
    with pytest.raises(ValueError, match=re.escape(f"shape={shape}")) as refused:
        square_shape(width)
    assert "width like" not in str(refused.value)
    assert len(random_places(width, shape, np.random.default_rng(0))) == width


@pytest.mark.parametrize(
    ("width", "sheet"),
    [
        (577, "shape=(24, 25) with 23 empty cells (--sheet"),
        (4091, "shape=(63, 65) with 4 empty cells (--sheet"),
        (1031, "shape=(32, 33) with 25 empty cells (--sheet"),
        (5, "shape=(2, 3) with 1 empty cell (--sheet"),
        (8, "shape=(2, 4) (--sheet"),
        (55, "shape=(5, 11) (--sheet"),
    ],
)
def test_a_width_without_a_useful_rectangle_names_a_sheet_with_holes_and_counts_them(width, sheet):
    with pytest.raises(ValueError, match=re.escape(sheet)):
        square_shape(width)


@pytest.mark.parametrize(("metric", "expected"), [("chebyshev", 4.0), ("euclidean", 5.0)])
def test_distance_of_a_three_four_step(metric, expected):
    assert distances(np.array([[0, 0], [3, 4]]), metric)[0, 1] == expected


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="chebyshev"):
        distances(np.zeros((2, 2), dtype=int), "manhattan")


def test_a_placement_on_a_full_sheet_is_a_bijection(rng):
    places = random_places(30, (5, 6), rng)
    assert sorted(map(tuple, places.tolist())) == [(y, x) for y in range(5) for x in range(6)]


def test_a_placement_differs_between_draws_and_not_between_seeds():
    one, two = (random_places(36, (6, 6), np.random.default_rng(3)) for _ in range(2))
    assert (one == two).all()
    assert (one != random_places(36, (6, 6), np.random.default_rng(4))).any()


def test_a_sheet_with_too_few_cells_says_which_would_do(rng):
    with pytest.raises(ValueError, match=r"25 cells but the tap has 36 units.*for example 6x6"):
        random_places(36, (5, 5), rng)
