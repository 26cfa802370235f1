"""How well held-out predictions agree with a recording, with intervals over its blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from toposheet.encoding.splits import Folds

_RESAMPLES = 1000
_VOXELS = 500  # resampled together, which bounds the memory


@dataclass(frozen=True, eq=False)
class Sums:
    """What the scores of predictions are made of, summed over the stimuli of each block.

    Args:
        covariance: Products of prediction and value, both minus their mean in the fold.
        of_predictions: Squares of predictions, minus their mean in the fold.
        of_values: Squares of values, minus their mean in the fold.
        residual: Squares of value minus prediction.
        total: Squares of value minus the mean of the training rows, which is the prediction without features.
    """

    covariance: Float[np.ndarray, "*draws blocks targets"]
    of_predictions: Float[np.ndarray, "*draws blocks targets"]
    of_values: Float[np.ndarray, "*draws blocks targets"]
    residual: Float[np.ndarray, "*draws blocks targets"]
    total: Float[np.ndarray, "*draws blocks targets"]

    @classmethod
    def of(
        cls,
        predictions: Float[np.ndarray, "stimuli targets"],
        y: Float[np.ndarray, "stimuli targets"],
        folds: Folds,
        blocks: Int[np.ndarray, " stimuli"],
    ) -> Sums:
        """Return the sums of predictions.

        Args:
            predictions: The held-out prediction of each value.
            y: The values.
            folds: The folds.
            blocks: The block of each stimulus, in the order of presentation.
        """
        p, values, means = folds.centred(predictions), folds.centred(y), folds.training_means(y)
        # What rounding leaves of a constant prediction is no prediction.
        p[:, np.abs(p).max(axis=0) <= 1e-9 * np.abs(y - means).max(axis=0)] = 0.0
        parts = (p * values, p**2, values**2, (y - predictions) ** 2, (y - means) ** 2)
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        return cls(*(np.add.reduceat(part, starts, axis=0) for part in parts))

    @property
    def r(self) -> Float[np.ndarray, "*draws targets"]:
        """Pearson's r of prediction and value within folds; 0 if no prediction varies within its fold.

        r = sum p y / sqrt(sum p^2 sum y^2), with p and y minus their mean in the fold. Folds are predicted by different
        models, whose means differ, so differences between folds do not count.
        """
        covariance, p, y = (part.sum(axis=-2) for part in (self.covariance, self.of_predictions, self.of_values))
        scale = np.sqrt(p * y)
        return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)

    @property
    def r2(self) -> Float[np.ndarray, "*draws targets"]:
        """The part of the variance that is explained: 1 - residual / total.

        Predictions without features (the mean of the training rows) have 0; worse ones are negative.
        """
        return 1 - self.residual.sum(axis=-2) / self.total.sum(axis=-2)

    def in_samples(self, counts: Float[np.ndarray, "resamples blocks"], voxels: slice) -> Sums:
        """Return the sums of some voxels in samples of the blocks. Each sample becomes a draw with one block.

        Args:
            counts: How often each block is in each sample.
            voxels: The voxels.
        """
        parts = (self.covariance, self.of_predictions, self.of_values, self.residual, self.total)
        return Sums(*((counts @ part[:, voxels])[:, None] for part in parts))


def mean_interval(
    statistic: Callable[[list[Sums]], np.ndarray], of: Sequence[Sums], counts: Float[np.ndarray, "resamples blocks"]
) -> tuple[float, float]:
    """Return the ends of the 95 % interval over blocks of the mean of a statistic over voxels.

    They are the 2.5 % and 97.5 % quantiles over bootstrap samples of the blocks (Efron 1979,
    doi:10.1214/aos/1176344552). Models are not fitted again, so the interval says how the value depends on which blocks
    are predicted, and not how it depends on which blocks train.

    Args:
        statistic: A function from sums to the value of each sample and voxel. Voxels that are nan do not count.
        of: The sums of one or several predictions of the same values.
        counts: How often each block is in each sample, from `resamples`.
    """
    n_voxels = of[0].total.shape[-1]
    total, n = np.zeros(len(counts)), np.zeros(len(counts))
    for start in range(0, n_voxels, _VOXELS):
        values = statistic([sums.in_samples(counts, slice(start, start + _VOXELS)) for sums in of])
        total, n = total + np.nansum(values, axis=-1), n + np.isfinite(values).sum(axis=-1)
    if not n.all():
        return np.nan, np.nan
    low, high = np.quantile(total / n, [0.025, 0.975])
    return float(low), float(high)


def resamples(n_blocks: int, rng: np.random.Generator) -> Float[np.ndarray, "resamples blocks"]:
    """Return how often each block is in each of 1,000 samples of the blocks, drawn with replacement.

    Args:
        n_blocks: Number of blocks.
        rng: Generator of the random draws.
    """
    return rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=_RESAMPLES).astype(float)
