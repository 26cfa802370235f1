"""Banded ridge regression whose penalties are chosen for each voxel in nested contiguous folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from toposheet.encoding.baselines import Features
from toposheet.encoding.splits import Folds
from toposheet.packages import FOR_ENCODING, import_package

PENALTIES = np.logspace(-2, 5, 8)
"""The penalties that are tried. The diagonal of each kernel has the mean 1, so they fit every number of units."""
_REFITTED = 2048  # targets that get their weights together, which bounds the memory


class BandedRidge:
    """Held-out predictions by ridge regression with several bands of features (Dupré la Tour et al. 2022).

    The kernel is K = sum_b w_b K_b over the bands b, with K_b = Z_b Z_b' divided by its mean diagonal, and Z_b the
    features, standardised by the mean and standard deviation of the training rows alone. Predictions are
    K_test (K + penalty)^-1 (y - mean) + mean. The weights w and the penalty of each voxel are those with the smallest
    squared error in nested folds of the training rows (doi:10.1016/j.neuroimage.2022.119728).

    himalaya solves it, because it chooses penalties for each voxel in any folds, has bands, and needs one
    eigendecomposition for all voxels. RidgeCV of scikit-learn has no bands, and it chooses penalties for each voxel
    only by leaving out single stimuli, whose neighbours in time stay in.

    Args:
        bands: The bands of features.
        candidates: The weights of the bands that are tried, one row each.
        folds: The folds.
    """

    def __init__(
        self, bands: Sequence[Features], candidates: Float[np.ndarray, "candidates bands"], folds: Folds
    ) -> None:
        himalaya = import_package("himalaya.kernel_ridge", *FOR_ENCODING)
        self._solve = himalaya.solve_multiple_kernel_ridge_random_search
        self._candidates, self._folds = candidates, folds
        self._kernels = []
        for train, test in folds:
            of_train, of_test = zip(*(_kernels(band, train, test) for band in bands), strict=True)
            self._kernels.append((np.stack(of_train), np.stack(of_test)))

    def held_out(self, y: Float[np.ndarray, "stimuli targets"]) -> Float[np.ndarray, "stimuli targets"]:
        """Return the prediction of each value by the model that was fitted without its fold.

        Args:
            y: The values to predict: voxels, or voxels in several draws of a null. Each target is fitted on its own.
        """
        predictions = np.empty_like(y)
        for split, kernels in zip(self._folds, self._kernels, strict=True):
            predictions[split[1]] = self._fold(y, *split, *kernels)
        return predictions

    def _fold(
        self, y: np.ndarray, train: np.ndarray, test: np.ndarray, of_train: np.ndarray, of_test: np.ndarray
    ) -> np.ndarray:
        with np.errstate(divide="ignore"):  # the logarithm of a weight of 0
            deltas, weights, _, intercept = self._solve(
                of_train, y[train], n_iter=self._candidates, alphas=PENALTIES, cv=self._folds.within(train),
                fit_intercept=True, return_weights="dual", n_targets_batch_refit=_REFITTED, progress_bar=False,
            )  # fmt: skip
        predicted = np.zeros((len(test), y.shape[1]))
        for kernel, delta in zip(of_test, deltas, strict=True):
            predicted += kernel @ (np.exp(delta) * weights)
        return predicted + intercept


def standardised(
    features: Features, train: np.ndarray, test: np.ndarray
) -> tuple[Float[np.ndarray, "training features"], Float[np.ndarray, "test features"]]:
    """Return the features of training rows and test rows. Their mean and standard deviation are those of training rows.

    A feature that is constant in the training rows is 0 in both: nothing can be learned about it.

    Args:
        features: The features.
        train: The training rows.
        test: The test rows.
    """
    of_train = features.values[train]
    mean, constant = of_train.mean(axis=0), np.ptp(of_train, axis=0) == 0
    scale = np.where(constant, np.inf, of_train.std(axis=0) if features.scaled else 1.0)
    return (of_train - mean) / scale, (features.values[test] - mean) / scale


def _kernels(features: Features, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    of_train, of_test = standardised(features, train, test)
    kernel = of_train @ of_train.T
    size = np.trace(kernel) / len(train) or 1.0
    return kernel / size, of_test @ of_train.T / size


def baseline_weights(n_bands: int) -> Float[np.ndarray, "candidates bands"]:
    """Return the weights of bands that are tried: each band alone, and all bands together."""
    together = np.full((1, n_bands), 1 / n_bands)
    return together if n_bands == 1 else np.concatenate([np.eye(n_bands), together])


def joint_weights(n_baselines: int) -> Float[np.ndarray, "candidates bands"]:
    """Return the weights that are tried for a model and its baselines, with the model as the first band.

    They are those of the baselines without the model, the model alone, and mixtures: the model with one baseline, and
    the model with all of them in three proportions.

    Args:
        n_baselines: Number of baselines.
    """
    baselines = baseline_weights(n_baselines)
    shares = [(1.0, baselines[-1])]
    shares += [(0.0, weights) for weights in baselines]
    shares += [(0.5, weights) for weights in baselines]
    shares += [(share, baselines[-1]) for share in (0.1, 0.9)]
    return np.stack([np.concatenate([[share], (1 - share) * weights]) for share, weights in shares])
