"""Maps on the cortex for the tests."""

from toposheet.brain.files import SurfaceMap

SPACES = {"fs_LR 32k": 32_492, "fsaverage5": 10_242}


def fsaverage5_map(values, hemisphere="left"):
    return SurfaceMap(values, hemisphere, "fsaverage5")


def edges_of(faces):
    """The edges of a mesh, one by one, as unordered pairs."""
    return {frozenset(pair) for a, b, c in faces.tolist() for pair in ((a, b), (b, c), (a, c)) if len(set(pair)) == 2}
