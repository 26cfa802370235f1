"""Maps on one hemisphere of human cortex, read from files of neuroimaging programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.brain.gifti import read_gifti
from toposheet.brain.images import choose_map, errors_in_one_line, open_image
from toposheet.brain.meshes import FOR_BRAINS, HEMISPHERES, SPACES, check_hemisphere, space_of
from toposheet.brain.vertices import in_order_of_mesh, is_list_of_vertices
from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.packages import import_package

P_VALUES = "p_values"  # the variable of a NetCDF file with the p of each vertex


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """A map on one hemisphere of human cortex.

    Args:
        values: A value for each vertex of the mesh. A vertex whose value is 0 or not finite has no data, such as the
            medial wall.
        hemisphere: `"left"` or `"right"`.
        space: Name of the mesh: `"fs_LR 32k"` or `"fsaverage5"`.
        name: Name of the map, from the file if the file has one.
        notes: Notes on the values of the map: doubts whether they are a statistic.
        p: The p of each vertex. None: the file has no p values.
    """

    values: Float[np.ndarray, " vertices"]
    hemisphere: str
    space: str
    name: str = "value"
    notes: tuple[str, ...] = ()
    p: Float[np.ndarray, " vertices"] | None = None

    @property
    def used(self) -> Bool[np.ndarray, " vertices"]:
        """True for each vertex with data: its value is finite and not 0."""
        return np.isfinite(self.values) & (self.values != 0)


def read_surface_map(
    path: str | Path, hemisphere: str = "left", which: int | None = None, variable: str = "t_values"
) -> SurfaceMap:
    """Return a map of one hemisphere, read from a file.

    Args:
        path: A GIFTI file (`.gii`, `.gii.gz`), a CIFTI file with vertices (for example `.dscalar.nii`) or a NetCDF file
            (`.nc`).
        hemisphere: `"left"` or `"right"`. If the map has both hemispheres, left vertices first, only the vertices of
            this hemisphere are used.
        which: Number of the map in a GIFTI or CIFTI file, from 0. None: the file must have exactly one map. Arrays of a
            GIFTI file that are not statistics (meshes, labels, numbers of vertices) are not counted.
        variable: Name of the variable in a NetCDF file. If its dimension has a coordinate, or another variable with
            this dimension has numbers of vertices (`vertex`, `vertno`, `node_index`), these must be the numbers of all
            vertices, from 0; the values are sorted into the order of the mesh.

    Returns:
        The map on all vertices of a mesh. The number of vertices decides which mesh it is. Vertices that are missing in
        a CIFTI file are nan. If a NetCDF file has a variable `p_values` with the dimension of the map, the map has
        these p values.

    Raises:
        NotFound: The file does not exist, or a package of `toposheet[brain]` is not installed.
        UserError: The file cannot be read or has another format. It does not have the map, or it has several maps and
            `which` is None. It has labels, integers, a mesh, or values for a part of the vertices. No known mesh has
            the number of vertices of the map, or no vertex has data. The message names the file.
    """
    check_type("path", path, (str, Path), "the path of a file")
    path = path_of(path)
    check_hemisphere(hemisphere)
    if not path.is_file():
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the path of a file in it")
        raise NotFound(f"there is no file {path}: check the path")
    ending, p = path.name.lower(), None
    if ending.endswith(".nc"):
        values, name, p = _read_netcdf(path, variable)
    elif ending.endswith((".gii", ".gii.gz")):
        values, name = read_gifti(path, hemisphere, which)
    elif ending.endswith((".nii", ".nii.gz")):
        values, name = _read_cifti(path, hemisphere, which)
    else:
        hint = next((hint for end, hint in _OTHER_FORMATS.items() if ending.endswith(end)), "")
        raise UserError(
            f"{path} is not a surface map: its name must end in .gii, .gii.gz, .dscalar.nii, .dtseries.nii or .nc{hint}"
        )
    values = np.squeeze(values)
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise UserError(
            f"{path}: {name} has shape {values.shape} and type {values.dtype}: a map must have one number per vertex"
        )
    if values.dtype.kind in "iub":
        raise UserError(
            f"{path}: {name} has the type {values.dtype}, such as labels of areas have: give a statistic, for example "
            "t; if the numbers are a statistic, store them as float32"
        )
    if is_list_of_vertices(values):
        raise UserError(f"{path}: {name} has the numbers of vertices: give a statistic, for example t")
    if len(values) // 2 in SPACES and len(values) % 2 == 0:
        here = HEMISPHERES.index(hemisphere)
        values, p = np.split(values, 2)[here], None if p is None else np.split(p, 2)[here]
    surface_map = SurfaceMap(values.astype(np.float64), hemisphere, space_of(len(values), str(path)), name, p=p)
    distinct = np.unique(surface_map.values[surface_map.used])
    if len(distinct) > 1 and (distinct % 1 == 0).all():
        note = (
            f"all values of {name} are whole numbers ({len(distinct):,} different ones), such as labels of areas. "
            "Moran's I needs a statistic, for example t"
        )
        surface_map = replace(surface_map, notes=(note,))
    if not surface_map.used.any():
        raise UserError(
            f"{path}: {name} has no data in the {hemisphere} hemisphere: all vertices are nan, infinite or 0"
        )
    return surface_map


_OVERLAY = "; convert an overlay of FreeSurfer to GIFTI first, with mri_convert or mris_convert -c"
_LABELS = "; this file has labels of areas, but a map must have a statistic, for example t"
_OTHER_FORMATS = {
    **dict.fromkeys((".mgz", ".mgh", ".curv", ".sulc", ".thickness", ".area", ".w"), _OVERLAY),
    **dict.fromkeys((".annot", ".label"), _LABELS),
}


def _read_netcdf(path: Path, variable: str) -> tuple[np.ndarray, str, np.ndarray | None]:
    """Return the values of a map, the name of the map, and the p values if the file has them."""
    with errors_in_one_line(path), xr.open_dataset(path, decode_times=False) as file:
        variables = {str(name): file[name].load().squeeze() for name in file.variables}
    if variable not in variables:
        raise UserError(f"{path} has no variable {variable!r}; its variables are: {', '.join(variables) or 'none'}")
    values = variables[variable]
    p = variables.get(P_VALUES)
    p = None if p is None or p.dims != values.dims or p.dtype.kind != "f" else p.values.astype(np.float64)
    if (name := _vertex_list(path, variables, values)) is None:
        return values.values, variable, p
    order = variables[name].values
    p = None if p is None else in_order_of_mesh(path, p, order, name)
    return in_order_of_mesh(path, values.values, order, name), variable, p


_VERTICES = ("vertex", "vertices", "vertex_index", "node", "nodes", "node_index")
_OF_VERTICES = re.compile("vert|node", re.IGNORECASE)


def _vertex_list(path: Path, variables: Mapping[str, xr.DataArray], values: xr.DataArray) -> str | None:
    """Return the name of the variable of a NetCDF file that has the number of the vertex of each value, if one has it.

    It has the dimension of the values. It is the coordinate of this dimension, or it has one of the usual names, or its
    content can be nothing else than numbers of vertices.

    Args:
        path: The file, for the error message.
        variables: All variables of the file.
        values: The values of the map.

    Raises:
        UserError: Several variables have different numbers of vertices. Or a variable has the content of such a list in
            another order than that of the mesh, but its name does not say what it is.
    """
    if values.ndim != 1:
        return None
    beside = {k: v.values for k, v in variables.items() if k != values.name and v.dims == values.dims}
    numbers = {
        name: column
        for name, column in beside.items()
        if values.dims == (name,) or name.lower() in _VERTICES or is_list_of_vertices(column)
    }
    in_order = [k for k, v in numbers.items() if v.dtype.kind in "iuf" and np.array_equal(v - v[:1], np.arange(len(v)))]
    coordinates = [name for name in numbers if values.dims == (name,) and name not in in_order]
    named = [name for name in numbers if _OF_VERTICES.search(name) or name in coordinates]
    unnamed = [name for name in numbers if name not in (*named, *in_order)]
    if unnamed and not named:
        raise UserError(
            f"{path} has a variable {unnamed[0]!r} with whole numbers, such as the numbers of vertices: if it says to "
            "which vertex each value belongs, call it 'vertex'; if not, leave it out of the file"
        )
    if any(not np.array_equal(numbers[name], numbers[named[0]]) for name in named):
        raise UserError(f"{path} has {len(named)} lists of vertex numbers ({', '.join(named)}): keep only one list")
    return named[0] if named else None


def _read_cifti(path: Path, hemisphere: str, which: int | None) -> tuple[np.ndarray, str]:
    cifti2 = import_package("nibabel.cifti2", *FOR_BRAINS)
    image = open_image(path)
    if not isinstance(image, cifti2.Cifti2Image):
        shape = " x ".join(map(str, image.shape))
        raise UserError(
            f"{path} is a volume ({shape} voxels), not CIFTI: project it to a surface first, for example with "
            f"nilearn.surface.vol_to_surf{_OVERLAY}"
        )
    rows, places = (image.header.get_axis(axis) for axis in (0, 1))
    if not isinstance(places, cifti2.BrainModelAxis):
        raise UserError(
            f"{path} has no vertices (its columns are a {type(places).__name__}): give a dense file (.dscalar.nii)"
        )
    if isinstance(rows, cifti2.LabelAxis):
        raise UserError(f"{path} has labels of areas: give a file with a statistic, for example t (.dscalar.nii)")
    if not isinstance(rows, (cifti2.ScalarAxis, cifti2.SeriesAxis)):
        raise UserError(
            f"{path} has no maps (its rows are a {type(rows).__name__}): give a file with a statistic (.dscalar.nii)"
        )
    scalar = isinstance(rows, cifti2.ScalarAxis)
    names = [str(name) for name in rows.name] if scalar else [f"row {number}" for number in range(len(rows))]
    row = choose_map(path, names, which)
    structures = {name: (columns, model) for name, columns, model in places.iter_structures()}
    cortex = f"CIFTI_STRUCTURE_CORTEX_{hemisphere.upper()}"
    if cortex not in structures:
        raise UserError(f"{path} has no {hemisphere} cortex; its structures are: {', '.join(structures)}")
    columns, model = structures[cortex]
    values = np.full(model.nvertices[cortex], np.nan)
    with errors_in_one_line(path):
        stored = np.asarray(image.dataobj[row][columns])
    if stored.dtype.kind in "iu":
        return stored, names[row]
    values[model.vertex] = stored
    return values, names[row]
