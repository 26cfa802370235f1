"""What the units of one tap have in common, and how that depends on where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


def participation_ratio(x: Float[np.ndarray, "stimuli units"]) -> float:
    """Return how many dimensions responses fill: (sum of eigenvalues)^2 / sum of squares, of their covariance.

    1: all units do the same; the number of units (or stimuli - 1): they are unrelated. Where few modes make up the
    responses, any map is one of few patterns, so nulls are wide. Gao et al. 2017, doi:10.1101/214262.

    Returns:
        At least 1; nan where nothing varies.
    """
    x = x - x.mean(axis=0)
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x  # the same eigenvalues
    with np.errstate(invalid="ignore"):
        return float(np.float64(np.trace(gram)) ** 2 / (gram**2).sum())


@dataclass(frozen=True)
class UnitPairs:
    """All pairs of units of one tap, sorted into the distances that occur on its sheet.

    Args:
        first: One unit of each pair.
        second: The other.
        distance_class: Which of the distances lies between them.
        distances: The distances that occur, rising, in the unit of the cells (mm with a spacing).
    """

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    distance_class: Int[np.ndarray, " pairs"]
    distances: Float[np.ndarray, " classes"]

    @classmethod
    def of(cls, cells: Int[np.ndarray, "units 2"], spacing_mm: float = 1.0) -> UnitPairs:
        """Return the pairs of units at these cells; distances are Euclidean, in mm."""
        first, second = np.triu_indices(len(cells), 1)
        squared = ((cells[first] - cells[second]) ** 2).sum(axis=1)
        squared_distances, distance_class = np.unique(squared, return_inverse=True)
        return cls(first, second, distance_class, spacing_mm * np.sqrt(squared_distances))


@dataclass(frozen=True)
class SpatialCorrelation:
    """How the correlation r of two units' responses falls with the distance d between them.

    Args:
        distances: The distances that occur, in mm.
        n_pairs: How many pairs have each.
        r: Mean correlation of the pairs at each distance.
        positive: Mean of max(r, 0) there.
    """

    distances: Float[np.ndarray, " classes"]
    n_pairs: Int[np.ndarray, " classes"]
    r: Float[np.ndarray, "*orders classes"]
    positive: Float[np.ndarray, "*orders classes"]

    @property
    def smoothness_mm(self) -> Float[np.ndarray, "*orders"]:
        """The width (FWHM, mm) of a Gaussian that would give white noise the correlation of adjacent units.

        FWHM = spacing sqrt(-2 ln 2 / ln r(spacing)) (Forman et al. 1995, doi:10.1002/mrm.1910330508), 0 where
        neighbours are not correlated.
        """
        if not len(self.distances):
            return np.full(self.r.shape[:-1], np.nan)
        r = np.clip(self.r[..., 0], 0.0, 1.0)
        with np.errstate(divide="ignore"):
            return np.asarray(self.distances[0] * np.sqrt(-2 * np.log(2) / np.log(r)))

    @property
    def wiring_mm(self) -> Float[np.ndarray, "*orders"]:
        """The mean length (mm) of wires between units that respond alike, each pair weighted by max(r, 0).

        Small where what works together lies together; with units at random places, the mean distance of pairs.
        """
        weights = self.positive * self.n_pairs
        with np.errstate(invalid="ignore"):
            return np.asarray((weights * self.distances).sum(axis=-1) / weights.sum(axis=-1))

    def curve(self, width_mm: float) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, "*orders bins"]]:
        """Return the curve r(d) in bins of a width: the middle of each bin that has pairs, and the mean r there."""
        bins = np.round(self.distances / width_mm).astype(int)
        filled = np.unique(bins)
        member = (bins == filled[:, None]) * self.n_pairs
        return filled * width_mm, self.r @ member.T / member.sum(axis=1)


def spatial_correlation(
    x: Float[np.ndarray, "stimuli units"],
    pairs: UnitPairs,
    orders: Int[np.ndarray, "*orders units"] | None = None,
) -> SpatialCorrelation:
    """Return the correlation of responses by distance, in place or with the units in other orders.

    Args:
        x: Responses. A silent unit correlates 0 with any.
        pairs: The pairs of the places.
        orders: For each draw of a null, which unit sits at each place.
    """
    z = x - x.mean(axis=0)
    norm = np.sqrt((z**2).sum(axis=0))
    z = np.divide(z, norm, out=np.zeros_like(z), where=norm > 0)
    correlation = (z.T @ z).astype(np.float32)
    n = np.bincount(pairs.distance_class, minlength=len(pairs.distances))
    orders_or_identity = np.arange(x.shape[1]) if orders is None else orders
    rows = orders_or_identity.reshape(-1, x.shape[1])
    r, positive = np.empty((len(rows), len(n))), np.empty((len(rows), len(n)))
    for row, order in enumerate(rows):
        pair_r = correlation[order[pairs.first], order[pairs.second]]
        r[row] = np.bincount(pairs.distance_class, weights=pair_r, minlength=len(n))
        positive[row] = np.bincount(pairs.distance_class, weights=np.maximum(pair_r, 0), minlength=len(n))
    shape = (*orders_or_identity.shape[:-1], len(n))
    return SpatialCorrelation(pairs.distances, n, (r / n).reshape(shape), (positive / n).reshape(shape))
