import numpy as np
import pytest

from toposheet.brain.meshes import mesh_of


@pytest.fixture
def smooth(rng):
    """A map of fsaverage5 that is smooth, but not all of it, with a medial wall."""
    mesh = mesh_of(10_242, "left")
    values = np.sin(mesh.coordinates[:, 1] / 20) + 0.5 * rng.normal(size=10_242)
    return np.where(np.abs(mesh.coordinates[:, 2]) < 8, 0, values)
