"""How sure a mean is when its values come in groups: taps of models, models of an objective."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from toposheet.errors import UserError


def hierarchical_bootstrap(
    groups: Sequence[Float[np.ndarray, " _"]], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, " resamples"]:
    """Return means of resampled data: groups with replacement, then values within each (Saravanan et al. 2020).

    Values of one group (the taps of one model) are not independent of each other; taking them for so many
    independent ones would make intervals far too narrow. doi:10.51628/001c.27905. With a single group only what varies
    within it is resampled: the interval then says nothing about another training run.

    Args:
        groups: The values of each group, finite.
        resamples: How many means.
        rng: Source of the randomness.

    Raises:
        UserError: there is no group, or one without values.
    """
    if not groups or min(len(values) for values in groups) == 0:
        raise UserError("a bootstrap needs at least one group, and a value in each")
    # The mean of each group resampled, as often as all choices of groups together may need it.
    group_means = np.stack(
        [rng.choice(values, (resamples, len(groups), len(values))).mean(axis=2) for values in groups], axis=2
    )
    chosen = rng.integers(len(groups), size=(resamples, len(groups)))
    return np.take_along_axis(group_means, chosen[:, :, None], axis=2)[:, :, 0].mean(axis=1)
