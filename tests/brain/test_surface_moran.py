import math

import numpy as np
import pytest
from esda import Moran
from libpysal.weights import W
from tests.brain.cortices import SPACES, edges_of, fsaverage5_map

from toposheet.brain.files import SurfaceMap, read_surface_map
from toposheet.brain.meshes import mesh_of
from toposheet.brain.moran import surface_morans_i
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


def slow_below(values, p, q):
    """Benjamini and Hochberg's rule over the vertices with data: all p up to the largest p_k <= q k / n."""
    used = [i for i, value in enumerate(values.tolist()) if np.isfinite(value) and value != 0]
    ordered = sorted(used, key=lambda i: p[i])
    passed = [k for k, i in enumerate(ordered, 1) if p[i] <= q * k / len(used)]
    return set(ordered[: max(passed, default=0)])


def slow_row_standardised(values, faces, kept):
    """Moran's I over some vertices with row-standardised weights, edge by edge."""
    mean = np.mean([values[i] for i in kept])
    neighbors = {i: [] for i in kept}
    for i, j in edges_of(faces):
        if i in kept and j in kept:
            neighbors[i].append(j)
            neighbors[j].append(i)
    product = sum(
        (values[i] - mean) * np.mean([values[j] - mean for j in near]) for i, near in neighbors.items() if near
    )
    n = sum(bool(near) for near in neighbors.values())
    return len(kept) / n * product / sum((values[i] - mean) ** 2 for i in kept)


def with_p(smooth, rng):
    """The smooth map with p values that are small where the map is far from 0."""
    return SurfaceMap(smooth, "left", "fsaverage5", p=np.where(smooth == 0, np.nan, np.exp(-5 * np.abs(smooth))))


@pytest.mark.parametrize("q", [0.02, 0.1])
def test_a_map_masked_by_its_p_values_equals_the_published_steps(smooth, rng, q):
    planted = with_p(smooth, rng)
    kept = slow_below(planted.values, planted.p, q)
    result = surface_morans_i(planted, q=q, weights="row")
    assert 100 < result.n_vertices == len(kept) < planted.used.sum()
    assert result.morans_i == pytest.approx(
        slow_row_standardised(smooth, mesh_of(10_242, "left").faces, kept), abs=1e-9
    )
    assert surface_morans_i(planted, q=1.0).n_vertices == planted.used.sum()
    alone = np.where(np.isin(np.arange(10_242), list(kept)), smooth, np.nan)
    assert surface_morans_i(planted, q=q).morans_i == surface_morans_i(fsaverage5_map(alone)).morans_i


def test_row_standardised_weights_are_those_of_esda_in_value_and_null(smooth):
    masked = surface_morans_i(fsaverage5_map(smooth), permutations=50, weights="row")
    used = set(np.flatnonzero(smooth).tolist())
    expected = slow_row_standardised(smooth, mesh_of(10_242, "left").faces, used)
    assert masked.morans_i == pytest.approx(expected, abs=1e-9)
    assert masked.null_mean != surface_morans_i(fsaverage5_map(smooth), permutations=50).null_mean


@pytest.mark.parametrize(
    ("q", "message"), [(0.0, "q is 0.0: it must be larger"), (1.5, "q is 1.5"), (math.nan, "q is")]
)
def test_a_bound_out_of_range_is_refused(smooth, rng, q, message):
    with pytest.raises(ValueError, match=message):
        surface_morans_i(with_p(smooth, rng), q=q)


def test_a_bound_needs_valid_p_values_and_a_vertex_below_it(smooth):
    with pytest.raises(ValueError, match=r"q is 0\.05, but the map has no p values: give a NetCDF file"):
        surface_morans_i(fsaverage5_map(smooth), q=0.05)
    for wrong in (np.full(10_242, np.nan), smooth):
        with pytest.raises(ValueError, match=r"the p values \(p_values\) are not all between 0 and 1"):
            surface_morans_i(SurfaceMap(smooth, "left", "fsaverage5", p=wrong), q=0.05)
    with pytest.raises(ValueError, match=r"no vertex has a false discovery rate below q = 0\.05"):
        surface_morans_i(SurfaceMap(smooth, "left", "fsaverage5", p=np.full(10_242, 0.5)), q=0.05)


def test_morans_i_of_the_published_even_runs_is_as_measured(data):
    even = read_surface_map(data / "brain" / "verb_noun_even_runs.nc")
    assert surface_morans_i(even).morans_i == pytest.approx(0.940, abs=5e-4)
    assert surface_morans_i(even, weights="row").morans_i == pytest.approx(0.93909, abs=5e-6)
    assert surface_morans_i(even, weights="row", q=0.05).morans_i > 0.98


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
