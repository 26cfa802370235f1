"""Clusters of neighbouring cells in a map: connected components, cluster mass and threshold-free enhancement."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy import ndimage

from toposheet.errors import UserError
from toposheet.settings import MIN_SIZE

# t is infinite where a unit does not vary within conditions but differs between them: it is set to _LARGEST_T.
_LARGEST_T, _MOST_HEIGHTS = 1e3, 1000


def clusters(
    mask: Bool[np.ndarray, "*maps y x"],
    contiguity: str = "queen",
    min_size: int = 1,
    n_units: Float[np.ndarray, "*maps y x"] | None = None,
) -> Int[np.ndarray, "*maps y x"]:
    """Return the number of the cluster that each cell belongs to; 0 means that the cell is in no cluster.

    A cluster is a connected component of the mask. TopoLM (arXiv:2410.11516) describes clusters as grown: start at the
    most selective unit, and add the most selective neighbour until no neighbour is significant. Growing ends with the
    connected component of the first unit, so both definitions give the same clusters.

    Args:
        mask: One map or a stack of maps: True for each significant cell (of one sign).
        contiguity: Which cells are neighbours. `"queen"`: cells that share an edge or a corner. `"rook"`: cells that
            share an edge.
        min_size: Number of units of the smallest cluster to keep. Smaller clusters get the number 0.
        n_units: Number of units that each cell of the mask adds to the size of its cluster. None: one in each cell.

    Returns:
        Cluster numbers from 1. The numbering continues from map to map of a stack.

    Raises:
        UserError: `contiguity` is neither `"queen"` nor `"rook"`.
    """
    labels, sizes = _components(mask, contiguity, n_units)
    kept = sizes >= min_size
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[labels]


def count_and_largest(
    mask: Bool[np.ndarray, "*maps y x"],
    contiguity: str = "queen",
    min_size: int = MIN_SIZE,
    n_units: Float[np.ndarray, "*maps y x"] | None = None,
) -> tuple[Float[np.ndarray, "*maps"], Float[np.ndarray, "*maps"]]:
    """Return the number of clusters of each map, and the size of its largest cluster in units.

    The number counts the clusters of at least `min_size` units. The largest cluster may have any size; without a
    cluster its size is 0. `n_units` is the number of units of each cell, see `clusters`.
    """
    labels, sizes = _components(mask, contiguity, n_units)
    flat = labels.reshape(-1, labels.shape[-2] * labels.shape[-1])
    count, largest = np.zeros(len(flat)), np.zeros(len(flat))
    map_numbers = _map_numbers(flat, len(sizes))
    np.add.at(count, map_numbers[1:], sizes[1:] >= min_size)
    np.maximum.at(largest, map_numbers[1:], sizes[1:])
    return count.reshape(mask.shape[:-2]), largest.reshape(mask.shape[:-2])


def cluster_masses(
    t: Float[np.ndarray, "*maps y x"], threshold: float, contiguity: str = "queen"
) -> tuple[Int[np.ndarray, "*maps y x"], Float[np.ndarray, " clusters"]]:
    """Return the clusters of cells whose |t| is above a threshold, and the mass of each cluster.

    The mass of a cluster is the sum of t over its cells. Positive and negative cells never share a cluster (Bullmore et
    al. 1999, doi:10.1109/42.750253).

    Args:
        t: One map or a stack of maps. Cells that are nan are holes.
        threshold: Cells with |t| above this value are in a cluster.
        contiguity: `"queen"` or `"rook"`, see `clusters`.

    Returns:
        Two arrays. The first has a value for each cell: the number of its cluster, or 0 if it is in no cluster. The
        second has the mass of each cluster: entry n belongs to cluster n, and entry 0 is 0.
    """
    filled = np.nan_to_num(t, nan=0.0, posinf=_LARGEST_T, neginf=-_LARGEST_T)
    positive, n_positive = _components(filled > threshold, contiguity)
    negative, n_negative = _components(filled < -threshold, contiguity)
    labels = np.where(negative > 0, negative + len(n_positive) - 1, positive)
    n_labels = len(n_positive) + len(n_negative) - 1
    masses = np.bincount(labels.ravel(), weights=filled.ravel(), minlength=n_labels)
    masses[0] = 0.0
    return labels, masses


def largest_mass(
    t: Float[np.ndarray, "*maps y x"], threshold: float, contiguity: str = "queen"
) -> Float[np.ndarray, "*maps"]:
    """Return the largest absolute cluster mass of each map; 0 if the map has no cluster."""
    labels, masses = cluster_masses(t, threshold, contiguity)
    return np.asarray(np.abs(masses)[labels].max(axis=(-2, -1)))


def tfce(
    t: Float[np.ndarray, "*maps y x"],
    contiguity: str = "queen",
    step: float = 0.1,
    extent_power: float = 0.5,
    height_power: float = 2.0,
) -> Float[np.ndarray, "*maps y x"]:
    """Return threshold-free cluster enhancement of maps (Smith & Nichols 2009, doi:10.1016/j.neuroimage.2008.03.061).

    TFCE(cell) = sum over heights h of e(h)^E h^H step, with h = step, 2 step, ... < max |t|. e(h) is the size, in
    cells, of the cluster of the cell among the cells with |t| above h. Positive and negative cells never share a
    cluster.

    Args:
        t: One map or a stack of maps. Cells that are nan are holes.
        contiguity: `"queen"` or `"rook"`, see `clusters`.
        step: Difference between two heights, in units of t. If this step would give more than 1,000 heights, a larger
            step is used.
        extent_power: E, the power of the cluster size.
        height_power: H, the power of the height.

    Returns:
        Scores of at least 0, also where t is negative. A large score means a large |t|, a large cluster, or both.
    """
    filled = np.nan_to_num(t, nan=0.0, posinf=_LARGEST_T, neginf=-_LARGEST_T)
    scores, highest = np.zeros(filled.shape), np.abs(filled).max(initial=0.0)
    step = max(step, highest / _MOST_HEIGHTS)
    for height in np.arange(step, highest, step):
        for sign in (1.0, -1.0):
            labels, sizes = _components(sign * filled > height, contiguity)
            sizes[0] = 0
            scores += (sizes**extent_power * height**height_power * step)[labels]
    return scores


def _components(
    mask: Bool[np.ndarray, "*maps y x"], contiguity: str, n_units: Float[np.ndarray, "*maps y x"] | None = None
) -> tuple[Int[np.ndarray, "*maps y x"], Num[np.ndarray, " components"]]:
    """Return the connected component of each cell, numbered from 1 through all maps, and the size of each component.

    Cells outside the mask have the number 0; entry 0 of the sizes belongs to them. The size is the number of cells or,
    with `n_units`, of their units.
    """
    plane = {"queen": ndimage.generate_binary_structure(2, 2), "rook": ndimage.generate_binary_structure(2, 1)}
    if contiguity not in plane:
        raise UserError(f"contiguity is {contiguity!r}: it must be 'queen' or 'rook'")
    structure = np.zeros((3, 3, 3), dtype=bool)  # cells of different maps are never neighbours
    structure[1] = plane[contiguity]
    stack = mask.reshape(-1, *mask.shape[-2:])
    labels = np.zeros(stack.shape, dtype=np.int32)
    ndimage.label(stack, structure, output=labels)
    labels = labels.reshape(mask.shape)
    weights = None if n_units is None else np.where(mask, n_units, 0.0).ravel()
    return labels, np.bincount(labels.ravel(), weights, minlength=1)


def _map_numbers(flat: np.ndarray, n: int) -> np.ndarray:
    """Return the number of the map that each of `n` components lies in."""
    map_numbers = np.zeros(n, dtype=np.int64)
    rows, cells = np.nonzero(flat)
    map_numbers[flat[rows, cells]] = rows
    return map_numbers
