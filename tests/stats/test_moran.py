import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from toposheet.stats import cross_morans_i, morans_i


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


def test_gain_and_offset_of_a_map_do_not_matter(rng):
    grid = rng.normal(size=(6, 6))
    np.testing.assert_allclose(morans_i(5 - 3 * grid), morans_i(grid))
