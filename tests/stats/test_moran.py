import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from toposheet.errors import UserError
from toposheet.stats import cross_morans_i, islands_morans_i, morans_i, morans_i_on_graph
from toposheet.stats.readout import gaussian_readout


def slow_cross_morans_i(a, b):
    """Moran's definition with the weights written out, cell by cell."""
    cells = [(y, x) for y, x in np.ndindex(a.shape) if np.isfinite(a[y, x]) and np.isfinite(b[y, x])]
    za = {cell: a[cell] - np.mean([a[c] for c in cells]) for cell in cells}
    zb = {cell: b[cell] - np.mean([b[c] for c in cells]) for cell in cells}
    total, weights = 0.0, 0
    for y, x in cells:
        for other in cells:
            if other != (y, x) and max(abs(other[0] - y), abs(other[1] - x)) == 1:
                total += za[y, x] * zb[other]
                weights += 1
    scale = np.sqrt(sum(z**2 for z in za.values()) * sum(z**2 for z in zb.values()))
    return len(cells) / weights * total / scale


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10_000), st.floats(0, 0.4))
def test_equals_the_definition_with_and_without_holes(height, width, seed, holes):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, height, width)) + 3
    a[(rng.random(a.shape) < holes) & (np.arange(width) > 1)] = np.nan
    b[(rng.random(a.shape) < holes) & (np.arange(width) > 1)] = np.nan
    np.testing.assert_allclose(morans_i(a), slow_cross_morans_i(a, a), rtol=1e-10)
    np.testing.assert_allclose(cross_morans_i(a, b), slow_cross_morans_i(a, b), rtol=1e-10, atol=1e-12)


def test_a_checkerboard_and_a_ramp_are_what_they_look_like():
    ramp = np.tile(np.arange(20.0), (20, 1))
    stripes = np.tile([0.0, 1.0], (20, 10))
    assert morans_i(ramp) > 0.9
    assert morans_i(stripes) == pytest.approx(slow_cross_morans_i(stripes, stripes))
    assert morans_i(stripes) < -0.2


def test_noise_has_minus_one_over_n_minus_one(rng):
    values = morans_i(rng.normal(size=(4000, 8, 8)))
    assert values.mean() == pytest.approx(-1 / 63, abs=3 * values.std() / np.sqrt(4000))


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_a_constant_map_has_none(value):
    assert np.isnan(morans_i(np.full((5, 5), value)))


def test_takes_dataarrays_and_stacks(rng):
    stack = rng.normal(size=(3, 6, 6))
    np.testing.assert_allclose(morans_i(xr.DataArray(stack, dims=("tap", "y", "x"))), [morans_i(m) for m in stack])


@pytest.mark.parametrize("dims", [("stimulus", "unit"), ("x", "y"), ("y", "x", "tap")])
def test_an_array_whose_last_dimensions_are_not_y_and_x_is_no_map(rng, dims):
    with pytest.raises(UserError, match=f"has the dimensions {', '.join(dims)}: the last two must be y and x"):
        morans_i(xr.DataArray(rng.normal(size=(6,) * len(dims)), dims=dims))


def test_gain_and_offset_of_a_map_do_not_matter(rng):
    grid = rng.normal(size=(6, 6))
    np.testing.assert_allclose(morans_i(5 - 3 * grid), morans_i(grid))


def esda_morans_i(grid, transformation="b"):
    """Moran's I by esda over the cells that are not nan."""
    from esda import Moran
    from libpysal.weights import W

    cells = [(y, x) for y, x in np.ndindex(grid.shape) if np.isfinite(grid[y, x])]
    number = {cell: i for i, cell in enumerate(cells)}
    near = {
        i: [
            number[y + dy, x + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (dy or dx) and (y + dy, x + dx) in number
        ]
        for (y, x), i in number.items()
    }
    return Moran(
        np.array([grid[cell] for cell in cells]), W(near, silence_warnings=True), transformation, permutations=0
    ).I


@pytest.mark.parametrize("shape", [(28, 28), (9, 14)])
def test_equals_esda_to_ten_digits(rng, shape):
    from esda import Moran
    from libpysal.weights import lat2W

    grid = np.cumsum(rng.normal(size=shape), axis=0)
    expected = Moran(grid.ravel(), lat2W(*shape, rook=False), "b", permutations=0).I
    assert morans_i(grid) == pytest.approx(expected, abs=1e-10)
    grid[rng.random(shape) < 0.2] = np.nan
    assert morans_i(grid) == pytest.approx(esda_morans_i(grid), abs=1e-10)


def test_islands_are_the_significant_cells_alone_as_esda_sees_them(rng):
    grid = np.cumsum(rng.normal(size=(16, 16)), axis=1)
    significant = np.abs(grid) > np.median(np.abs(grid))
    expected = esda_morans_i(np.where(significant, grid, np.nan))
    assert islands_morans_i(grid, significant) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("side", "n", "defined"), [(16, 29, False), (16, 30, True), (28, 78, False), (28, 79, True)])
def test_islands_need_thirty_units_and_a_tenth_of_all(rng, side, n, defined):
    significant = np.zeros(side * side, dtype=bool)
    significant[:n] = True
    assert np.isfinite(islands_morans_i(rng.normal(size=(side, side)), significant.reshape(side, side))) == defined


def test_on_a_graph_of_queen_neighbours_it_is_that_of_the_sheet(rng):
    from libpysal.weights import lat2W

    grid = np.cumsum(rng.normal(size=(3, 7, 9)), axis=-1)
    adjacency = csr_array(lat2W(7, 9, rook=False).sparse)
    np.testing.assert_allclose(morans_i_on_graph(grid.reshape(3, -1), adjacency), morans_i(grid), rtol=1e-10)


@pytest.mark.parametrize("occupied", [1.0, 0.5, 0.25, 0.1])
def test_on_sparse_sheets_it_is_the_definition_and_may_exceed_one_up_to_the_largest_eigenvalue(rng, occupied):
    grid = rng.normal(size=(24, 24))
    grid[rng.random(grid.shape) > occupied] = np.nan
    y, x = np.nonzero(np.isfinite(grid))
    weights = (np.maximum(np.abs(y[:, None] - y), np.abs(x[:, None] - x)) == 1).astype(float)
    largest = len(y) / weights.sum() * np.linalg.eigvalsh(weights)[-1]
    assert largest > 1
    for fwhm in (0.0, 2.0, 6.0):
        seen = gaussian_readout(grid, fwhm)
        z = seen[y, x] - seen[y, x].mean()
        value = float(morans_i(seen))
        assert value == pytest.approx(len(y) / weights.sum() * (z @ weights @ z) / (z @ z))
        assert value <= largest


def slow_row_standardised(values, near):
    """Moran's I with a dense matrix of weights, each row divided by its sum, if that is not 0."""
    sums = near.sum(axis=1, keepdims=True)
    weights = np.divide(near, sums, out=np.zeros_like(near), where=sums > 0)
    z = values - values.mean()
    return len(z) / weights.sum() * (z @ weights @ z) / (z @ z)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 10_000), st.floats(0, 0.6))
def test_row_standardised_it_is_the_definition_with_holes_and_cells_without_neighbours(height, width, seed, holes):
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(height, width)) + 3
    grid[(rng.random(grid.shape) < holes) & (np.arange(width) > 1)] = np.nan
    y, x = np.nonzero(np.isfinite(grid))
    near = (np.maximum(np.abs(y[:, None] - y), np.abs(x[:, None] - x)) == 1).astype(float)
    expected = slow_row_standardised(grid[y, x], near)
    assert morans_i(grid, weights="row") == pytest.approx(expected, rel=1e-10, abs=1e-12)
    on_graph = morans_i_on_graph(grid[y, x], csr_array(near), weights="row")
    assert on_graph == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("holes", [0.0, 0.2, 0.85])
def test_row_standardised_it_equals_the_default_of_esda(rng, holes):
    grid = np.cumsum(rng.normal(size=(14, 9)), axis=0)
    grid[rng.random(grid.shape) < holes] = np.nan
    assert morans_i(grid, weights="row") == pytest.approx(esda_morans_i(grid, "r"), abs=1e-10)
    assert morans_i(grid, weights="row") != pytest.approx(morans_i(grid), abs=1e-4)


def test_row_standardised_maps_of_a_stack_have_their_own_holes(rng):
    stack = np.cumsum(rng.normal(size=(3, 8, 8)), axis=1)
    stack[rng.random(stack.shape) < 0.3] = np.nan
    expected = [morans_i(grid, weights="row") for grid in stack]
    np.testing.assert_allclose(morans_i(stack, weights="row"), expected)
    assert np.isnan(morans_i(np.full((5, 5), 0.1), weights="row"))


def test_unknown_weights_are_refused(rng):
    for compute in (
        lambda: morans_i(rng.normal(size=(4, 4)), weights="rows"),
        lambda: morans_i_on_graph(rng.normal(size=4), csr_array(np.ones((4, 4))), weights="rows"),
    ):
        with pytest.raises(UserError, match="weights is 'rows': it must be one of binary, row"):
            compute()
