"""The skewness of t. A null with shuffled labels or random signs is symmetric; with skewed noise, t may not be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

from toposheet.stats.contrast import MeanAndVariance


def skewness_of_t(
    x: Float[np.ndarray, "items units"], weights: Sequence[Shaped[np.ndarray, "*draws items"]]
) -> Float[np.ndarray, "*draws units"]:
    """Return the skewness of the difference of two means in each unit, estimated from the noise of the items.

    It is (m3_a / n_a^2 - m3_b / n_b^2) / (v_a / n_a + v_b / n_b)^1.5, with v the variance and m3 the third central
    moment of a sample. The first term of the Edgeworth series of t is in proportion to it (Hall 1992,
    doi:10.1007/978-1-4612-4384-7). It is 0 for symmetric noise. It is also 0 if both samples have the same noise and
    the same size. With one sample of differences it is m3 / n^2 / (v / n)^1.5.

    Units may be skewed to opposite sides. So each unit counts with the side to which its values are skewed: the sign of
    the sum over samples of n m3 / v^1.5. With heavy tails this choice alone makes the median over units differ from 0:
    compare with values whose deviations have random signs.

    Args:
        x: Values of the items, centred (`centred`).
        weights: The weights of the items in each sample, see `MeanAndVariance.of`: at least 3 items are not 0.

    Returns:
        The skewness. nan for a unit that does not vary.
    """
    third = error = side = np.zeros(())
    for sign, sample in zip((1, -1), weights, strict=False):
        moments = MeanAndVariance.of(x, sample)
        n, mean, v = moments.n, moments.mean, moments.var
        squares, cubes = (n - 1) * v + n * mean**2, sample.astype(x.dtype) @ x**3
        m3 = (cubes - 3 * mean * squares + 2 * n * mean**3) * n / ((n - 1) * (n - 2))
        m3 = np.where(v > 0, m3, 0.0)
        third = third + sign * m3 / n**2
        error = error + v / n
        side = side + n * np.divide(m3, v**1.5, out=np.zeros_like(m3), where=v > 0)
    nan = np.full(error.shape, np.nan)
    return np.divide(np.sign(side) * third, error**1.5, out=nan, where=error > 0)
