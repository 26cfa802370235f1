"""Maps on one hemisphere of human cortex, read from files of neuroimaging programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.brain.gifti import read_gifti
from toposheet.brain.images import choose_map, open_image, reading
from toposheet.brain.meshes import FOR_BRAINS, HEMISPHERES, SPACES, check_hemisphere, space_of
from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.packages import import_package


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """A map on one hemisphere of human cortex.

    Args:
        values: A value for each vertex of the mesh. A vertex whose value is 0 or not finite has no data, such as the
            medial wall.
        hemisphere: `"left"` or `"right"`.
        space: Name of the mesh: `"fs_LR 32k"` or `"fsaverage5"`.
        name: Name of the map, from the file if the file has one.
    """

    values: Float[np.ndarray, " vertices"]
    hemisphere: str
    space: str
    name: str = "value"

    @property
    def used(self) -> Bool[np.ndarray, " vertices"]:
        """True for each vertex with data: its value is finite and not 0."""
        return np.isfinite(self.values) & (self.values != 0)


def read_surface_map(
    path: str | Path, hemisphere: str = "left", which: int | None = None, variable: str = "t_values"
) -> SurfaceMap:
    """Return a map of one hemisphere, read from a file.

    Args:
        path: A GIFTI (`.gii`, `.gii.gz`), CIFTI (`.dscalar.nii` and others with vertices) or NetCDF file (`.nc`).
        hemisphere: `"left"` or `"right"`. Of a map of both (left vertices first) this half is taken.
        which: Which map of a GIFTI or CIFTI file, from 0. None: the only one. Arrays of a GIFTI file that are no
            statistics (meshes, labels, numbers of vertices) are not counted.
        variable: Which variable of a NetCDF file.

    Returns:
        The map on all vertices of a mesh. The number of vertices decides which mesh. Vertices that are missing in a
        CIFTI file are nan.

    Raises:
        NotFound: there is no such file, or a package of `toposheet[brain]` is missing.
        UserError: the file cannot be read or has another format; it has no such map, or several and `which` is None;
            it holds labels, a mesh, or values of a part of the vertices; or the map fits no known mesh or has no
            vertex with data. The message names the file.
    """
    check_type("path", path, (str, Path), "the path of a file")
    path = path_of(path)
    check_hemisphere(hemisphere)
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    ending = path.name.lower()
    if ending.endswith(".nc"):
        values, name = _read_netcdf(path, variable)
    elif ending.endswith((".gii", ".gii.gz")):
        values, name = read_gifti(path, hemisphere, which)
    elif ending.endswith((".nii", ".nii.gz")):
        values, name = _read_cifti(path, hemisphere, which)
    else:
        hint = next((hint for end, hint in _OTHER_FORMATS.items() if ending.endswith(end)), "")
        raise UserError(
            f"{path}: the name of a surface map ends in .gii, .gii.gz, .dscalar.nii, .dtseries.nii or .nc{hint}"
        )
    values = np.squeeze(values)
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise UserError(f"{path}: {name} is {values.dtype} of shape {values.shape}: a map is one number a vertex")
    if len(values) // 2 in SPACES and len(values) % 2 == 0:
        values = np.split(values, 2)[HEMISPHERES.index(hemisphere)]
    surface_map = SurfaceMap(values.astype(np.float64), hemisphere, space_of(len(values), str(path)), name)
    if not surface_map.used.any():
        raise UserError(
            f"{path}: {name} has no data in the {hemisphere} hemisphere: all vertices are nan, infinite or 0"
        )
    return surface_map


_OVERLAY = "; bring an overlay of FreeSurfer to GIFTI first (mri_convert, or mris_convert -c)"
_LABELS = "; this file holds labels of areas, a map holds a statistic such as t"
_OTHER_FORMATS = {
    **dict.fromkeys((".mgz", ".mgh", ".curv", ".sulc", ".thickness", ".area", ".w"), _OVERLAY),
    **dict.fromkeys((".annot", ".label"), _LABELS),
}


def _read_netcdf(path: Path, variable: str) -> tuple[np.ndarray, str]:
    with reading(path), xr.open_dataset(path, decode_times=False) as file:
        variables = [str(name) for name in file.variables]
        values = file[variable].values if variable in variables else None
    if values is None:
        raise UserError(f"{path} has no variable {variable!r}; its variables are: {', '.join(variables) or 'none'}")
    return values, variable


def _read_cifti(path: Path, hemisphere: str, which: int | None) -> tuple[np.ndarray, str]:
    cifti2 = import_package("nibabel.cifti2", *FOR_BRAINS)
    image = open_image(path)
    if not isinstance(image, cifti2.Cifti2Image):
        shape = " x ".join(map(str, image.shape))
        raise UserError(
            f"{path} is a volume ({shape} voxels), not CIFTI: bring it to a surface first, as "
            f"nilearn.surface.vol_to_surf does{_OVERLAY}"
        )
    rows, places = (image.header.get_axis(axis) for axis in (0, 1))
    if not isinstance(places, cifti2.BrainModelAxis):
        raise UserError(f"{path} has no vertices but {type(places).__name__}: give a dense file (.dscalar.nii)")
    if isinstance(rows, cifti2.LabelAxis):
        raise UserError(f"{path} holds labels of areas: give a file with a statistic such as t (.dscalar.nii)")
    if not isinstance(rows, (cifti2.ScalarAxis, cifti2.SeriesAxis)):
        raise UserError(f"{path} has no maps but {type(rows).__name__}: give a file with a statistic (.dscalar.nii)")
    scalar = isinstance(rows, cifti2.ScalarAxis)
    names = [str(name) for name in rows.name] if scalar else [f"row {number}" for number in range(len(rows))]
    row = choose_map(path, names, which)
    structures = {name: (columns, model) for name, columns, model in places.iter_structures()}
    cortex = f"CIFTI_STRUCTURE_CORTEX_{hemisphere.upper()}"
    if cortex not in structures:
        raise UserError(f"{path} has no {hemisphere} cortex; it has: {', '.join(structures)}")
    columns, model = structures[cortex]
    values = np.full(model.nvertices[cortex], np.nan)
    with reading(path):
        values[model.vertex] = image.dataobj[row][columns]
    return values, names[row]
