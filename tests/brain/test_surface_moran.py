import math

import numpy as np
import pytest
from esda import Moran
from libpysal.weights import W
from tests.brain.cortices import SPACES, edges_of, fsaverage5_map

from toposheet.brain.meshes import mesh_of
from toposheet.brain.moran import surface_morans_i
from toposheet.brain.reading import SurfaceMap
from toposheet.progress import SILENT
from toposheet.stats import against_null


def slow_morans_i(values, faces):
    """Moran's definition, edge by edge, over the vertices that are finite and not 0."""
    mean = np.mean([value for value in values if np.isfinite(value) and value != 0])
    z = {i: value - mean for i, value in enumerate(values.tolist()) if np.isfinite(value) and value != 0}
    edges = [(i, j) for i, j in edges_of(faces) if i in z and j in z]
    product = 2 * sum(z[i] * z[j] for i, j in edges)
    return len(z) / (2 * len(edges)) * product / sum(value**2 for value in z.values())


def with_holes(rng, n=10_242):
    """A map with a medial wall of zeros, and nan and inf here and there, some of which leave a vertex alone."""
    values = rng.normal(size=n) + 0.5
    values[rng.random(n) < 0.3] = np.nan
    values[:2000], values[5000:5003] = 0, np.inf
    return values


@pytest.mark.parametrize("hemisphere", ["left", "right"])
def test_morans_i_on_the_cortex_equals_its_definition(rng, hemisphere):
    values = with_holes(rng)
    result = surface_morans_i(fsaverage5_map(values, hemisphere))
    expected = slow_morans_i(values, mesh_of(10_242, hemisphere).faces)
    assert result.morans_i == pytest.approx(expected, abs=1e-12)
    assert result.n_vertices == (np.isfinite(values) & (values != 0)).sum()
    assert np.isnan([result.null_mean, result.null_sd, result.z, result.p]).all()


def test_morans_i_and_its_null_are_those_of_pysal(smooth):
    faces, used = mesh_of(10_242, "left").faces, np.flatnonzero(smooth)
    number = {vertex: i for i, vertex in enumerate(used.tolist())}
    neighbors = {i: [] for i in range(len(used))}
    for i, j in edges_of(faces):
        if i in number and j in number:
            neighbors[number[i]].append(number[j])
            neighbors[number[j]].append(number[i])
    moran = Moran(smooth[used], W(neighbors, silence_warnings=True), transformation="b", permutations=0)
    result = surface_morans_i(fsaverage5_map(smooth), permutations=400)
    assert result.n_vertices == moran.n
    assert result.morans_i == pytest.approx(moran.I, rel=1e-10)
    assert result.null_mean == pytest.approx(moran.EI, abs=4 * math.sqrt(moran.VI_rand / 400))
    assert result.null_sd == pytest.approx(math.sqrt(moran.VI_rand), rel=0.15)
    assert result.z == pytest.approx(moran.z_rand, rel=0.15)
    assert result.p == 1 / 401


@pytest.mark.parametrize(("space", "n"), SPACES.items())
def test_a_planted_gradient_is_smooth_and_noise_is_not(rng, space, n):
    front_to_back = SurfaceMap(mesh_of(n, "left").coordinates[:, 1], "left", space)
    assert 0.95 < surface_morans_i(front_to_back).morans_i <= 1
    noise = surface_morans_i(SurfaceMap(rng.normal(size=n), "left", space), permutations=99)
    assert noise.morans_i == pytest.approx(0, abs=4 / math.sqrt(3 * n))
    assert noise.n_vertices == n
    assert noise.p > 0.05


def test_the_null_is_decided_by_its_seed_and_not_by_who_is_told_of_its_progress(smooth):
    told = []
    first, again, shown, other = (
        surface_morans_i(fsaverage5_map(smooth), permutations=40, seed=seed, progress=progress)
        for seed, progress in ((3, SILENT), (3, SILENT), (3, lambda *step: told.append(step)), (4, SILENT))
    )
    assert first == again == shown
    assert first.null_mean != other.null_mean
    assert told[-1] == ("place-null", 40, 40)


def test_more_draws_begin_with_the_same_draws(smooth, monkeypatch):
    drawn = []

    def recording(value, draws):
        drawn.append(draws.copy())
        return against_null(value, draws)

    monkeypatch.setattr("toposheet.brain.moran.against_null", recording)
    for permutations in (5, 70):
        surface_morans_i(fsaverage5_map(smooth), permutations=permutations, seed=1)
    few, many = drawn
    np.testing.assert_array_equal(few, many[:5])
    assert len(np.unique(many)) == 70


@pytest.mark.parametrize("value", [0.1, 0.7, -1.1, -3e7])
def test_a_constant_map_has_no_morans_i_and_no_null(value):
    result = surface_morans_i(fsaverage5_map(np.full(10_242, value)), permutations=3)
    assert np.isnan([result.morans_i, result.null_mean, result.null_sd, result.z, result.p]).all()


@pytest.mark.parametrize("permutations", [1, -5])
def test_a_null_of_one_draw_is_refused(smooth, permutations):
    with pytest.raises(ValueError, match="at least 2"):
        surface_morans_i(fsaverage5_map(smooth), permutations=permutations)
