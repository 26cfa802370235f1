import numpy as np
import pytest

from toposheet.stats import SheetReadout, gaussian_readout, morans_i


def slow_readout(grid, fwhm):
    sigma = fwhm / np.sqrt(8 * np.log(2))
    out = np.full(grid.shape, np.nan)
    for y, x in np.ndindex(grid.shape):
        if np.isfinite(grid[y, x]):
            sampled = [
                (np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * sigma**2)), grid[v, u])
                for v, u in np.ndindex(grid.shape)
                if np.isfinite(grid[v, u])
            ]
            out[y, x] = sum(g * r for g, r in sampled) / sum(g for g, _ in sampled)
    return out


@pytest.mark.parametrize("fwhm", [0.5, 2.0, 7.0])
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_equals_the_definition(rng, fwhm, holes):
    grid = rng.normal(size=(5, 7))
    grid[rng.random(grid.shape) < holes] = np.nan
    np.testing.assert_allclose(gaussian_readout(grid, fwhm), slow_readout(grid, fwhm), rtol=1e-10)


def test_a_constant_sheet_stays_constant_at_edges_and_holes():
    grid = np.full((2, 6, 6), 3.0)
    grid[:, 2, 3] = np.nan
    sampled = gaussian_readout(grid, 2.0)
    np.testing.assert_allclose(sampled[np.isfinite(grid)], 3.0)
    assert np.isnan(sampled[:, 2, 3]).all()


def test_half_the_maximum_lies_half_the_width_away():
    impulse = np.zeros((41, 41))
    impulse[20, 20] = 1
    sampled = gaussian_readout(impulse, 8.0)
    assert sampled[20, 24] / sampled[20, 20] == pytest.approx(0.5, rel=1e-3)


def test_no_width_is_no_readout(rng):
    grid = rng.normal(size=(4, 4))
    np.testing.assert_array_equal(gaussian_readout(grid, 0.0), grid)


@pytest.mark.parametrize("fwhm", [-1.0, np.nan, np.inf])
def test_an_impossible_width_is_refused(rng, fwhm):
    with pytest.raises(ValueError, match="fwhm is"):
        gaussian_readout(rng.normal(size=(4, 4)), fwhm)


def test_smoothed_noise_has_the_floor_of_the_published_control(rng):
    # The control model's 0.60 with readout (TopoLM) is what white noise gives on a 28x28 sheet.
    values = morans_i(gaussian_readout(rng.normal(size=(200, 28, 28)), 2.0))
    assert values.mean() == pytest.approx(0.60, abs=0.02)
    assert values.std() == pytest.approx(0.031, abs=0.01)


@pytest.mark.parametrize("shape", [(6, 9), (5, 400), (300, 4)])
@pytest.mark.parametrize("shared", [False, True])
def test_the_readout_of_units_is_that_of_their_maps_also_on_long_sheets_and_in_shared_cells(rng, shape, shared):
    # On a side of 300 cells only the weights that count are multiplied.
    cells = np.argwhere(rng.random(shape) < 0.8)
    if shared:
        cells = np.concatenate([cells, cells[:7], cells[:3]])
    x = rng.normal(size=(len(cells), 5))
    grid = np.full((5, *shape), np.nan)
    for y, column in np.unique(cells, axis=0):
        grid[:, y, column] = x[(cells == [y, column]).all(axis=1)].mean(axis=0)
    expected = gaussian_readout(grid, 2.0)[:, cells[:, 0], cells[:, 1]].T
    readout = SheetReadout(cells, shape, 2.0)
    np.testing.assert_allclose(readout.sample(x), expected, rtol=1e-12, atol=1e-14)
    squares = readout.sums_of_squares(x, [2, 3])
    of_parts = [(expected[:, part] ** 2).sum(axis=1) for part in (slice(0, 2), slice(2, 5))]
    np.testing.assert_allclose(squares, of_parts, rtol=1e-10)
