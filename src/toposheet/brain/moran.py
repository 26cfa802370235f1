"""Moran's I of a map on human cortex, with its place-null."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from toposheet.brain.files import P_VALUES, SurfaceMap
from toposheet.brain.meshes import adjacency, mesh_of
from toposheet.errors import UserError, check_type
from toposheet.progress import SILENT, Progress
from toposheet.settings import check_permutations, check_seed, check_selection, check_weights
from toposheet.stats import against_null, morans_i_on_graph, q_values

_DRAWS_AT_ONCE = 32  # limits memory: a few arrays (draws, vertices)


@dataclass(frozen=True)
class SurfaceMoran:
    """Moran's I of a map on the cortex, compared with its place-null.

    Args:
        morans_i: Moran's I: about -1/(n-1) for noise, close to 1 for a smooth map, nan for a constant map.
        n_vertices: Number of vertices with data; with `q`, only those below it.
        null_mean: Mean of I in the draws of the null. Without a null, this field and all following fields are nan.
        null_sd: Standard deviation of I in the draws of the null.
        z: (morans_i - null_mean) / null_sd.
        p: One-sided p: (1 + b) / (1 + B), where b of B draws are at least as large as the value.
    """

    morans_i: float
    n_vertices: int
    null_mean: float = math.nan
    null_sd: float = math.nan
    z: float = math.nan
    p: float = math.nan


def surface_morans_i(
    map: SurfaceMap,
    permutations: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    weights: str = "binary",
    q: float | None = None,
) -> SurfaceMoran:
    """Return the spatial autocorrelation of a map on the cortex (Moran 1950, doi:10.2307/2332142).

    The formula is that of `toposheet.stats.morans_i`. Two vertices are neighbours if an edge of the mesh connects them,
    as in TopoLM's analysis of brains (arXiv:2410.11516). Vertices without data, and their edges, do not count.

    The null shuffles the values among the vertices (place-null). It is a very weak null: shuffling destroys the
    smoothness that every fMRI map has. Every smoothed map exceeds it, even a map of smoothed noise. So a small p shows
    that the map is smooth. It does not show that the map is organised.

    TopoLM's published value of the brain (0.96) is of a map that was masked: only vertices with a false discovery rate
    below 0.05 count (`q=0.05`), and the weights are row-standardised (`weights="row"`). A masked map has a larger I, as
    the mask keeps the vertices that are alike.

    Args:
        map: The map, from `read_surface_map`.
        permutations: Number of draws of the null; 0: no null.
        seed: Seed of the draws.
        progress: A function that is called with the number of draws done so far. None: no calls.
        weights: Weights of neighbours: `"binary"`, or `"row"` for row-standardised weights, see `morans_i`.
        q: Bound of the false discovery rate (Benjamini-Hochberg over the vertices with data, from the p values of the
            map). Other vertices do not count. None: all vertices with data count.

    Raises:
        UserError: No known mesh has the number of vertices of the map, no vertex has data, `permutations` is 1 or
            negative, or the weights are unknown. Or `q` is out of range, the map has no valid p values, or no vertex is
            below `q`.
        NotFound: The package with the mesh is not installed.
    """
    check_type("map", map, SurfaceMap, "what toposheet.read_surface_map returns")
    check_seed(seed)
    check_weights(weights)
    check_selection(None, q)
    if permutations != 0:
        check_permutations(permutations)
    used = map.used
    if not used.any():
        raise UserError("the map has no data: all of its vertices are nan, infinite or 0")
    if q is not None:
        used = _below(map, q)
    neighbors = adjacency(mesh_of(len(used), map.hemisphere).faces, len(used))[used][:, used]
    values = map.values[used]
    # After one centring, a constant map can differ from 0 in the last bit, which must not count as a map. Moran's I
    # centres once more, which gives exactly 0.
    values = values - values.mean()
    morans_i = float(morans_i_on_graph(values, neighbors, weights=weights))
    if not permutations:
        return SurfaceMoran(morans_i, len(values))
    tell = progress or SILENT
    tell("place-null", 0, permutations)
    rng, draws = np.random.default_rng(seed), np.empty(permutations)
    for start in range(0, permutations, _DRAWS_AT_ONCE):
        n = min(_DRAWS_AT_ONCE, permutations - start)
        shuffled = rng.permuted(np.tile(values, (n, 1)), axis=1)
        draws[start : start + n] = morans_i_on_graph(shuffled, neighbors, weights=weights)
        tell("place-null", start + n, permutations)
    null = against_null(morans_i, draws)
    return SurfaceMoran(morans_i, len(values), float(null.mean), float(null.sd), float(null.z), float(null.p))


def _below(map: SurfaceMap, q: float) -> Bool[np.ndarray, " vertices"]:
    """Return True for each vertex whose false discovery rate is below `q`.

    Raises:
        UserError: The map has no valid p values, or no vertex is below `q`.
    """
    if map.p is None:
        raise UserError(
            f"q is {q:g}, but the map has no p values: give a NetCDF file (.nc) with the variable {P_VALUES}, or leave "
            "q out"
        )
    p = np.where(map.used, map.p, np.nan)
    if not ((p[map.used] >= 0) & (p[map.used] <= 1)).all():
        raise UserError(f"the p values ({P_VALUES}) are not all between 0 and 1: give the p of each vertex with data")
    if not (below := q_values(p) < q).any():
        raise UserError(f"no vertex has a false discovery rate below q = {q:g}: leave q out, or give a larger q")
    return below
