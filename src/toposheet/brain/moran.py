"""Moran's I of a map on the cortex, beside its place-null."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toposheet.brain.meshes import adjacency, mesh_of
from toposheet.brain.reading import SurfaceMap
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.settings import check_permutations
from toposheet.stats import against_null, morans_i_on_graph

_DRAWS_AT_ONCE = 32  # memory: a few arrays (draws, vertices)


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


def surface_morans_i(
    map: SurfaceMap, permutations: int = 0, seed: int = 0, progress: Progress = SILENT
) -> SurfaceMoran:
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
        progress: Told how many draws are done.

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
    for start in range(0, permutations, _DRAWS_AT_ONCE):
        n = min(_DRAWS_AT_ONCE, permutations - start)
        shuffled = rng.permuted(np.tile(values, (n, 1)), axis=1)
        draws[start : start + n] = morans_i_on_graph(shuffled, neighbors)
        progress("place-null", start + n, permutations)
    null = against_null(morans_i, draws)
    return SurfaceMoran(morans_i, len(values), float(null.mean), float(null.sd), float(null.z), float(null.p))
