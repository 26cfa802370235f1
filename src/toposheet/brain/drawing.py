"""Figures of a map on human cortex. This module finds the mesh and the sulcal depth; `figures` draws them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from toposheet.brain.files import SurfaceMap, read_surface_map
from toposheet.brain.meshes import FOR_BRAINS, FS_LR, mesh_of, template_files
from toposheet.errors import UserError
from toposheet.figures.surface import surface_figure
from toposheet.packages import check_package


def draw_surface_map(map: SurfaceMap, title: str = "") -> Figure:
    """Return a figure of a map on the inflated cortex, in a lateral and a medial view.

    `figures.surface.surface_figure` draws it.

    Args:
        map: The map, from `read_surface_map`.
        title: Title of the figure.

    Raises:
        UserError: No known mesh has the number of vertices of the map, or no vertex has data.
        NotFound: nilearn, or the package with the mesh, is not installed.
    """
    mesh = mesh_of(len(map.values), map.hemisphere, "inflated")
    if not map.used.any():
        raise UserError("the map has no data: all of its vertices are nan, infinite or 0")
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
    """Return a grey level for each vertex of a map: light on gyri (0.15), darker in sulci (up to 0.45).

    Args:
        map: The map whose mesh is shaded.

    Raises:
        NotFound: The package with the mesh is not installed.
    """
    (file,) = template_files(map.space, map.hemisphere, "sulc")
    depth = read_surface_map(file, map.hemisphere).values * (-1 if map.space == FS_LR else 1)
    return np.nan_to_num(np.interp(depth, np.nanpercentile(depth, (5, 95)), (0.15, 0.45)), nan=0.3)
