"""Groups of adjacent cells that respond alike, and whether a contrast has more of them than chance makes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from toposheet.errors import UserError
from toposheet.settings import MIN_SIZE

_LARGEST_T, _MOST_HEIGHTS = 1e3, 1000  # an infinite t is that of units that do not vary but differ


def clusters(
    mask: Bool[np.ndarray, "*maps y x"], contiguity: str = "queen", min_size: int = 1
) -> Int[np.ndarray, "*maps y x"]:
    """Return the number of the cluster that each cell belongs to, 0 for none.

    Growing a cluster from its most selective unit by the most selective neighbour until none is significant, as
    TopoLM does (arXiv:2410.11516), ends with the connected component of that unit among the significant ones. So
    clusters are connected components, found for a whole stack of maps at once.

    Args:
        mask: Which cells are significant (of one sign).
        contiguity: `"queen"`: cells that share an edge or a corner are neighbours; `"rook"`: an edge.
        min_size: Clusters with fewer cells are dropped.

    Raises:
        UserError: the contiguity is neither.
    """
    labels, sizes = _components(mask, contiguity)
    kept = sizes >= min_size
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[labels]


def count_and_largest(
    mask: Bool[np.ndarray, "*maps y x"], contiguity: str = "queen", min_size: int = MIN_SIZE
) -> tuple[Float[np.ndarray, "*maps"], Float[np.ndarray, "*maps"]]:
    """Return the number of clusters of at least `min_size` cells in each map, and the size of the largest of any."""
    labels, sizes = _components(mask, contiguity)
    flat = labels.reshape(-1, labels.shape[-2] * labels.shape[-1])
    count, largest = np.zeros(len(flat)), np.zeros(len(flat))
    map_numbers = _map_numbers(flat, len(sizes))
    np.add.at(count, map_numbers[1:], sizes[1:] >= min_size)
    np.maximum.at(largest, map_numbers[1:], sizes[1:])
    return count.reshape(mask.shape[:-2]), largest.reshape(mask.shape[:-2])


def cluster_masses(
    t: Float[np.ndarray, "*maps y x"], threshold: float, contiguity: str = "queen"
) -> tuple[Int[np.ndarray, "*maps y x"], Float[np.ndarray, " clusters"]]:
    """Return clusters of cells with |t| above a threshold, and the mass of each: the sum of its t.

    Positive and negative cells never share a cluster (Bullmore et al. 1999, doi:10.1109/42.750253).

    Returns:
        Number of the cluster of each cell (0 for none), and masses by cluster: entry 0 is that of no cluster, 0.
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
    """Return for each map the largest absolute mass of a cluster, 0 where there is none."""
    labels, masses = cluster_masses(t, threshold, contiguity)
    return np.asarray(np.abs(masses)[labels].max(axis=(-2, -1)))


def tfce(
    t: Float[np.ndarray, "*maps y x"],
    contiguity: str = "queen",
    step: float = 0.1,
    extent_power: float = 0.5,
    height_power: float = 2.0,
) -> Float[np.ndarray, "*maps y x"]:
    """Return maps enhanced by threshold-free clusters (Smith & Nichols 2009, doi:10.1016/j.neuroimage.2008.03.061).

    TFCE(cell) = sum over heights h = step, 2 step, ... < max |t| of e(h)^E h^H step, e being the size of the cell's
    cluster above h. Positive and negative cells never share a cluster; the score is not negative.

    Args:
        t: One map or a stack; nan cells are holes.
        contiguity: `"queen"` or `"rook"`.
        step: Between heights, in units of t; larger where that would make more than 1,000 heights.
        extent_power: E.
        height_power: H.
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
    mask: Bool[np.ndarray, "*maps y x"], contiguity: str
) -> tuple[Int[np.ndarray, "*maps y x"], Int[np.ndarray, " components"]]:
    """Return connected components numbered through all maps from 1, and their sizes; entry 0 is the rest."""
    plane = {"queen": ndimage.generate_binary_structure(2, 2), "rook": ndimage.generate_binary_structure(2, 1)}
    if contiguity not in plane:
        raise UserError(f"contiguity is {contiguity!r}: it must be 'queen' or 'rook'")
    structure = np.zeros((3, 3, 3), dtype=bool)  # maps of a stack do not touch
    structure[1] = plane[contiguity]
    stack = mask.reshape(-1, *mask.shape[-2:])
    labels = np.zeros(stack.shape, dtype=np.int32)
    ndimage.label(stack, structure, output=labels)
    return labels.reshape(mask.shape), np.bincount(labels.ravel(), minlength=1)


def _map_numbers(flat: np.ndarray, n: int) -> np.ndarray:
    map_numbers = np.zeros(n, dtype=np.int64)
    rows, cells = np.nonzero(flat)
    map_numbers[flat[rows, cells]] = rows
    return map_numbers
