"""Maps on one hemisphere of human cortex, read from files of neuroimaging programs."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.brain.meshes import FOR_BRAINS, HEMISPHERES, SPACES, check_hemisphere, space_of
from toposheet.errors import NotFound, UserError, first_line
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
    path: str | Path, hemisphere: str = "left", which: int = 0, variable: str = "t_values"
) -> SurfaceMap:
    """Return a map of one hemisphere, read from a file.

    Args:
        path: A GIFTI (`.gii`, `.gii.gz`), CIFTI (`.dscalar.nii` and others with vertices) or NetCDF file (`.nc`).
        hemisphere: `"left"` or `"right"`. Of a map of both (left vertices first) this half is taken.
        which: Which data array of a GIFTI file or row of a CIFTI file, from 0.
        variable: Which variable of a NetCDF file.

    Returns:
        The map on all vertices of a mesh. The number of vertices decides which mesh. Vertices that are missing in a
        CIFTI file are nan.

    Raises:
        NotFound: there is no such file, or a package of `toposheet[brain]` is missing.
        UserError: the file cannot be read or has another format, has no such map, or the map fits no known mesh or has
            no vertex with data; the message names the file.
    """
    path = Path(path)
    check_hemisphere(hemisphere)
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    ending = path.name.lower()
    if ending.endswith(".nc"):
        values, name = _read_netcdf(path, variable)
    elif ending.endswith((".gii", ".gii.gz")):
        values, name = _read_gifti(path, hemisphere, which)
    elif ending.endswith((".nii", ".nii.gz")):
        values, name = _read_cifti(path, hemisphere, which)
    else:
        raise UserError(f"{path}: the name of a surface map ends in .gii, .gii.gz, .dscalar.nii, .dtseries.nii or .nc")
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


@contextmanager
def _reading(path: Path) -> Generator[None, None, None]:
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of the voxel size, which no CIFTI file has
    try:
        yield
    except Exception as error:  # of whatever kind the parsers below raise
        what = first_line(error).split(". ")[0]
        raise UserError(f"{path} cannot be read ({what}): is it whole, and what its name says?") from None
    finally:
        logger.setLevel(level)


def _read_netcdf(path: Path, variable: str) -> tuple[np.ndarray, str]:
    with _reading(path), xr.open_dataset(path, decode_times=False) as file:
        variables = [str(name) for name in file.variables]
        values = file[variable].values if variable in variables else None
    if values is None:
        raise UserError(f"{path} has no variable {variable!r}; its variables are: {', '.join(variables) or 'none'}")
    return values, variable


def _read_gifti(path: Path, hemisphere: str, which: int) -> tuple[np.ndarray, str]:
    nibabel = import_package("nibabel", *FOR_BRAINS)
    with _reading(path):
        image = nibabel.load(path)
    _check_which(path, which, len(image.darrays))
    array = image.darrays[which]
    structure = array.meta.get("AnatomicalStructurePrimary", image.meta.get("AnatomicalStructurePrimary", ""))
    other = {"left": "right", "right": "left"}[hemisphere]
    if structure == f"Cortex{other.capitalize()}":
        raise UserError(f"{path} is of the {other} hemisphere, says the file; asked for is the {hemisphere} one")
    return array.data, array.meta.get("Name") or f"data array {which}"


def _read_cifti(path: Path, hemisphere: str, which: int) -> tuple[np.ndarray, str]:
    nibabel = import_package("nibabel", *FOR_BRAINS)
    with _reading(path):
        image = nibabel.load(path)
    if not isinstance(image, nibabel.Cifti2Image):
        raise UserError(f"{path} is a volume: bring it to a surface first, as nilearn.surface.vol_to_surf does")
    rows, places = (image.header.get_axis(axis) for axis in (0, 1))
    if not isinstance(places, nibabel.cifti2.BrainModelAxis):
        raise UserError(f"{path} has no vertices but {type(places).__name__}: give a dense file (.dscalar.nii)")
    _check_which(path, which, len(rows))
    structures = {name: (columns, model) for name, columns, model in places.iter_structures()}
    cortex = f"CIFTI_STRUCTURE_CORTEX_{hemisphere.upper()}"
    if cortex not in structures:
        raise UserError(f"{path} has no {hemisphere} cortex; it has: {', '.join(structures)}")
    columns, model = structures[cortex]
    values = np.full(model.nvertices[cortex], np.nan)
    with _reading(path):
        values[model.vertex] = image.dataobj[which][columns]
    return values, str(rows.name[which]) if isinstance(rows, nibabel.cifti2.ScalarAxis) else f"row {which}"


def _check_which(path: Path, which: int, n: int) -> None:
    if not 0 <= which < n:
        raise UserError(f"{path} has {n} {'map' if n == 1 else 'maps'}, numbered from 0: there is no map {which}")
