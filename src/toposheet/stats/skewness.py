"""The skewness of t. A null with shuffled labels or random signs is symmetric; with skewed noise, t may not be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float


def skewness_of_t(x: Float[np.ndarray, "items units"], samples: Sequence[Bool[np.ndarray, " items"]]) -> float:
    """Return the skewness of the difference of two means, median over units, estimated from the noise of the items.

    In each unit it is (m3_a / n_a^2 - m3_b / n_b^2) / (v_a / n_a + v_b / n_b)^1.5, with v the variance and m3 the third
    central moment of a sample. The first term of the Edgeworth series of t is in proportion to it (Hall 1992,
    doi:10.1007/978-1-4612-4384-7). It is 0 for symmetric noise. It is also 0 if both samples have the same noise and
    the same size. With one sample of differences it is m3 / n^2 / (v / n)^1.5.

    Units may be skewed to opposite sides. So each unit counts with the side to which its values are skewed: the sign of
    the sum over samples of n m3 / v^1.5. With heavy tails this choice alone makes the result differ from 0: compare
    with values whose deviations have random signs.

    Args:
        x: Values of the items.
        samples: For each sample, True for its items: at least 3.

    Returns:
        The skewness. nan if no unit varies.
    """
    third, variance, side = (np.zeros(x.shape[1]) for _ in range(3))
    for sign, sample in zip((1, -1), samples, strict=False):
        n, r = int(sample.sum()), x[sample] - x[sample].mean(axis=0)
        squares = r**2
        v, m3 = squares.sum(axis=0) / (n - 1), (squares * r).sum(axis=0) * n / ((n - 1) * (n - 2))
        third += sign * m3 / n**2
        variance += v / n
        side += n * np.divide(m3, v**1.5, out=np.zeros_like(v), where=v > 0)
    varies = variance > 0
    if not varies.any():
        return float("nan")
    return float(np.median(np.sign(side[varies]) * third[varies] / variance[varies] ** 1.5))
