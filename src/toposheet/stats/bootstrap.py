"""Bootstrap of a mean over grouped values: the taps of several models, or the models of several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from toposheet.errors import UserError


def hierarchical_bootstrap(
    groups: Sequence[Float[np.ndarray, " _"]], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, " resamples"]:
    """Return bootstrap means of grouped values (Saravanan et al. 2020, doi:10.51628/001c.27905).

    Each resample draws groups with replacement, and then draws values with replacement within each drawn group. The
    values of one group, for example the taps of one model, are not independent of each other. A bootstrap that treats
    them as independent gives intervals that are far too narrow. With a single group, only the values within this group
    are resampled. The interval then does not include the variation between training runs.

    Args:
        groups: The values of each group. All values are finite.
        resamples: Number of bootstrap means.
        rng: Generator of the random draws.

    Returns:
        One mean for each resample.

    Raises:
        UserError: There is no group, or a group has no values.
    """
    if not groups or min(len(values) for values in groups) == 0:
        sizes = [len(values) for values in groups]
        raise UserError(
            f"the groups have {sizes} values: a bootstrap needs at least one group, and at least one value in each"
        )
    # One resample may choose the same group several times, at most len(groups) times. Each choice needs a new mean.
    group_means = np.stack(
        [rng.choice(values, (resamples, len(groups), len(values))).mean(axis=2) for values in groups], axis=2
    )
    chosen = rng.integers(len(groups), size=(resamples, len(groups)))
    return np.take_along_axis(group_means, chosen[:, :, None], axis=2)[:, :, 0].mean(axis=1)
