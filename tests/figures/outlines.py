"""The outlines in a drawn map."""

from matplotlib.patches import PathPatch


def outlined(axes):
    """Return the edges that are drawn in axes: each as its two ends."""
    paths = [patch.get_path() for patch in axes.patches if isinstance(patch, PathPatch)]
    return [tuple(map(tuple, ends)) for path in paths for ends in path.vertices.reshape(-1, 2, 2).tolist()]
