"""A map of the cortex as a figure: its mesh and the shading of its sulci are fetched here, and drawn by `figures`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from toposheet.brain.meshes import FOR_BRAINS, FS_LR, mesh_of, template_files
from toposheet.brain.reading import SurfaceMap, read_surface_map
from toposheet.errors import UserError
from toposheet.figures.surface import surface_figure
from toposheet.packages import check_package


def draw_surface_map(map: SurfaceMap, title: str = "") -> Figure:
    """Return a map on the inflated cortex, from the side and from the middle: see `figures.surface.surface_figure`.

    Args:
        map: From `read_surface_map`.
        title: Of the figure.

    Raises:
        UserError: the map fits no known mesh or has no vertex with data.
        NotFound: nilearn or the package with the mesh is not installed.
    """
    mesh = mesh_of(len(map.values), map.hemisphere, "inflated")
    if not map.used.any():
        raise UserError("the map has no vertex that is finite and not 0")
    check_package("nilearn", *FOR_BRAINS)
    return surface_figure(
        np.where(map.used, map.values, np.nan),
        mesh.coordinates,
        mesh.faces,
        shading_of(map),
        hemisphere=map.hemisphere,
        name=map.name,
        title=title,
    )


def shading_of(map: SurfaceMap) -> Float[np.ndarray, " vertices"]:
    """Return a shade of grey for each vertex of a map, from light on the gyri (0.15) to darker in the sulci (0.45).

    Args:
        map: Whose mesh is shaded.

    Raises:
        NotFound: the package with the mesh is not installed.
    """
    (file,) = template_files(map.space, map.hemisphere, "sulc")
    depth = read_surface_map(file, map.hemisphere).values * (-1 if map.space == FS_LR else 1)
    return np.nan_to_num(np.interp(depth, np.nanpercentile(depth, (5, 95)), (0.15, 0.45)), nan=0.3)
