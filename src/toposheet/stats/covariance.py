"""Correlations between the units of one tap: how many dimensions they fill, and how they depend on distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float, Int

from toposheet.stats.smoothness import gaussian_fwhm


def participation_ratio(x: Float[np.ndarray, "stimuli units"]) -> float:
    """Return how many dimensions the responses fill (Gao et al. 2017, doi:10.1101/214262).

    (sum of eigenvalues)^2 / (sum of squared eigenvalues), with the eigenvalues of the covariance between units. If a
    few dimensions explain the responses, every map is a mixture of a few patterns, and nulls of map statistics are
    wide.

    Returns:
        1 if all units respond alike. It approaches the smaller of the number of units and the number of stimuli - 1 if
        the responses of units are unrelated. nan if no unit varies.
    """
    x = x - x.mean(axis=0)
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x  # both have the same nonzero eigenvalues
    with np.errstate(invalid="ignore"):
        return float(np.float64(np.trace(gram)) ** 2 / (gram**2).sum())


def bimodality(x: Float[np.ndarray, "stimuli units"]) -> float:
    """Return the bimodality coefficient of the correlations between all pairs of units (doi:10.3389/fpsyg.2013.00700).

    It is (skewness^2 + 1) / kurtosis, in the form for samples. It is 1/3 for a normal distribution, 5/9 for a uniform
    one and 1 for two values. Above 5/9, the correlations may have two peaks: units form groups that respond alike, and
    groups respond in opposite ways. A strongly skewed distribution has large values too. With fewer than about ten
    stimuli, correlations of unrelated units are spread over all values, and the coefficient says nothing.

    Returns:
        The coefficient, over the units that vary. nan: there are fewer than 4 pairs, or all correlations are equal.
    """
    varying = x[:, np.ptp(x, axis=0) > 0]
    n_units = varying.shape[1]
    n = n_units * (n_units - 1) // 2
    if n < 4:
        return float("nan")
    r = _correlations(varying)[np.triu_indices(n_units, 1)].astype(np.float64)
    if np.ptp(r) < 1e-6:
        return float("nan")
    skewness, excess = scipy.stats.skew(r, bias=False), scipy.stats.kurtosis(r, bias=False)
    return float((skewness**2 + 1) / (excess + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))))


@dataclass(frozen=True)
class UnitPairs:
    """All pairs of units of one tap, sorted by the distance between the two units on the sheet.

    Args:
        first: Index of the first unit of each pair.
        second: Index of the second unit of each pair.
        distance_class: For each pair, the index of its distance in `distances`.
        distances: All distances that occur between two units, in mm, in increasing order.
    """

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    distance_class: Int[np.ndarray, " pairs"]
    distances: Float[np.ndarray, " classes"]

    @classmethod
    def of(cls, cells: Int[np.ndarray, "units 2"], spacing_mm: float = 1.0) -> UnitPairs:
        """Return all pairs of units, with their Euclidean distances.

        Args:
            cells: Row and column of each unit.
            spacing_mm: Distance between adjacent cells, in mm.
        """
        first, second = np.triu_indices(len(cells), 1)
        squared = ((cells[first] - cells[second]) ** 2).sum(axis=1)
        squared_distances, distance_class = np.unique(squared, return_inverse=True)
        return cls(first, second, distance_class, spacing_mm * np.sqrt(squared_distances))


@dataclass(frozen=True)
class SpatialCorrelation:
    """The correlation r between the responses of two units, as a function of the distance d between them.

    Args:
        distances: All distances that occur between two units, in mm, in increasing order.
        n_pairs: Number of pairs of units at each distance.
        r: Mean correlation of the pairs at each distance.
        positive: Mean of max(r, 0) of the pairs at each distance.
    """

    distances: Float[np.ndarray, " classes"]
    n_pairs: Int[np.ndarray, " classes"]
    r: Float[np.ndarray, "*orders classes"]
    positive: Float[np.ndarray, "*orders classes"]

    @property
    def smoothness_mm(self) -> Float[np.ndarray, "*orders"]:
        """The width (FWHM, mm) of the Gaussian that gives white noise the observed correlation of adjacent units.

        It is 0 if adjacent units are not positively correlated (`gaussian_fwhm`). Units that share a cell do not count.
        """
        apart = np.flatnonzero(self.distances > 0)
        if not len(apart):
            return np.full(self.r.shape[:-1], np.nan)
        return np.asarray(gaussian_fwhm(float(self.distances[apart[0]]), self.r[..., apart[0]]))

    @property
    def wiring_mm(self) -> Float[np.ndarray, "*orders"]:
        """The weighted mean distance (mm) between two units. The weight of a pair of units is max(r, 0).

        It is small if units that respond alike are near each other. If units are at random places, it is about the mean
        distance of all pairs.
        """
        weights = self.positive * self.n_pairs
        with np.errstate(invalid="ignore"):
            return np.asarray((weights * self.distances).sum(axis=-1) / weights.sum(axis=-1))

    def curve(self, width_mm: float) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, "*orders bins"]]:
        """Return the curve r(d) in bins of distance.

        Args:
            width_mm: Width of a bin, in mm.

        Returns:
            The centre of each bin that has pairs (mm), and the mean correlation of the pairs of the bin.
        """
        bins = np.round(self.distances / width_mm).astype(int)
        filled = np.unique(bins)
        member = (bins == filled[:, None]) * self.n_pairs
        return filled * width_mm, self.r @ member.T / member.sum(axis=1)


def spatial_correlation(
    x: Float[np.ndarray, "stimuli units"],
    pairs: UnitPairs,
    orders: Int[np.ndarray, "*orders units"] | None = None,
) -> SpatialCorrelation:
    """Return the mean correlation of two units' responses at each distance, for one or many arrangements of the units.

    Args:
        x: Responses of each unit to each stimulus. The correlation of a silent unit with every other unit is 0.
        pairs: The pairs of places on the sheet.
        orders: For each draw of a null, the number of the unit at each place. None: every unit is at its place.
    """
    correlation, n_units = _correlations(x).ravel(), x.shape[1]
    n = np.bincount(pairs.distance_class, minlength=len(pairs.distances))
    orders_or_identity = np.arange(x.shape[1]) if orders is None else orders
    rows = orders_or_identity.reshape(-1, x.shape[1])
    r, positive = np.empty((len(rows), len(n))), np.empty((len(rows), len(n)))
    for row, order in enumerate(rows):
        pair_r = correlation.take(order[pairs.first] * n_units + order[pairs.second])
        r[row] = np.bincount(pairs.distance_class, weights=pair_r, minlength=len(n))
        positive[row] = np.bincount(pairs.distance_class, weights=np.maximum(pair_r, 0), minlength=len(n))
    shape = (*orders_or_identity.shape[:-1], len(n))
    return SpatialCorrelation(pairs.distances, n, (r / n).reshape(shape), (positive / n).reshape(shape))


def _correlations(x: Float[np.ndarray, "stimuli units"]) -> Float[np.ndarray, "units units"]:
    """Return the correlation of each two units, in float32. It is 0 if one of them is silent."""
    z = x - x.mean(axis=0)
    norm = np.sqrt((z**2).sum(axis=0))
    z = np.divide(z, norm, out=np.zeros_like(z), where=norm > 0)
    return (z.T @ z).astype(np.float32)
