import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from toposheet.stats import cluster_masses, clusters, count_and_largest, largest_mass, tfce


def neighbours(cell, shape, contiguity):
    y, x = cell
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near = (y + dy, x + dx)
            if (
                (dy or dx)
                and (contiguity == "queen" or not (dy and dx))
                and all(0 <= a < n for a, n in zip(near, shape, strict=True))
            ):
                yield near


def grown(t, significant, contiguity, min_size):
    """TopoLM's growing, step by step: the most selective unit, then its most selective neighbour, and so on."""
    left, result = set(map(tuple, np.argwhere(significant))), []
    while left:
        cluster = {max(left, key=lambda cell: t[cell])}
        while True:
            edge = {n for cell in cluster for n in neighbours(cell, t.shape, contiguity)} - cluster
            most = max((cell for cell in edge if cell in left), key=lambda cell: t[cell], default=None)
            if most is None:
                break
            cluster.add(most)
        left -= cluster
        if len(cluster) >= min_size:
            result.append(cluster)
    return result


@given(st.integers(0, 5000), st.sampled_from(["queen", "rook"]), st.integers(1, 5))
def test_clusters_are_those_that_growing_ends_with(seed, contiguity, min_size):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=(7, 9))
    significant = t > rng.uniform(-0.5, 1)
    labels = clusters(significant, contiguity, min_size)
    mine = {frozenset(map(tuple, np.argwhere(labels == n))) for n in range(1, labels.max() + 1)}
    assert mine == {frozenset(cluster) for cluster in grown(t, significant, contiguity, min_size)}


def test_a_planted_number_of_clusters_and_their_sizes_are_found():
    stack = np.zeros((3, 12, 12), dtype=bool)
    stack[1, 0:3, 0:4] = stack[1, 5:9, 5:10] = stack[1, 11, 0:3] = True  # 12, 20, and 3 cells
    stack[2] = True
    count, largest = count_and_largest(stack, min_size=10)
    assert count.tolist() == [0, 2, 1]
    assert largest.tolist() == [0, 20, 144]
    assert count_and_largest(stack, min_size=3)[0].tolist() == [0, 3, 1]
    assert count_and_largest(stack, min_size=50)[1].tolist() == [0, 20, 144]  # the largest of any size


def test_a_corner_joins_queens_and_not_rooks():
    mask = np.array([[True, False], [False, True]])
    assert clusters(mask, "queen").max() == 1
    assert clusters(mask, "rook").max() == 2
    with pytest.raises(ValueError, match="contiguity is 'bishop'"):
        clusters(mask, "bishop")


def adjacency(shape, contiguity):
    matrix = sparse.lil_array((shape[0] * shape[1],) * 2)
    for cell in np.ndindex(shape):
        for near in neighbours(cell, shape, contiguity):
            matrix[np.ravel_multi_index(cell, shape), np.ravel_multi_index(near, shape)] = 1
    return matrix.tocoo()


@pytest.mark.parametrize("contiguity", ["queen", "rook"])
def test_masses_equal_mne(rng, contiguity):
    from mne.stats.cluster_level import _find_clusters, _setup_adjacency

    t = np.round(3 * rng.normal(size=(11, 8)), 3)
    near = _setup_adjacency(adjacency(t.shape, contiguity), t.size, 1)
    theirs = _find_clusters(t.ravel(), 1.5, tail=0, adjacency=near)[1]
    labels, masses = cluster_masses(t, 1.5, contiguity)
    np.testing.assert_allclose(np.sort(masses[1:]), np.sort(theirs))
    assert largest_mass(t, 1.5, contiguity) == pytest.approx(np.abs(theirs).max())
    assert ((labels > 0) == (np.abs(t) > 1.5)).all()


def test_tfce_equals_mne(rng):
    from mne.stats.cluster_level import _find_clusters, _setup_adjacency

    t = 3 * rng.normal(size=(11, 8))
    near = _setup_adjacency(adjacency(t.shape, "queen"), t.size, 1)
    theirs = _find_clusters(t.ravel(), {"start": 0.1, "step": 0.1}, tail=0, adjacency=near)[1]
    np.testing.assert_allclose(tfce(t, step=0.1).ravel(), theirs, rtol=1e-9)


def test_a_stack_of_maps_with_holes_is_what_its_maps_are(rng):
    t = 2 * rng.normal(size=(4, 6, 6))
    t[:, 2, 3] = np.nan
    np.testing.assert_allclose(largest_mass(t, 1.0), [largest_mass(grid, 1.0) for grid in t])
    np.testing.assert_allclose(tfce(t)[2], tfce(t[2]), rtol=1e-12)
    assert (tfce(t)[:, 2, 3] == 0).all()


def test_no_cell_above_the_threshold_is_no_mass():
    assert largest_mass(np.zeros((2, 5, 5)), 1.0).tolist() == [0, 0]
    assert cluster_masses(np.zeros((5, 5)), 1.0)[1].tolist() == [0]
