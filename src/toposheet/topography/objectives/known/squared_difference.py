"""The objective of Poli et al.: the loss is small if the cosine similarity of two units equals their nearness."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from toposheet.topography.objectives.objective import OnActivations
from toposheet.topography.objectives.similarity import WindowPairs, sums


def squared_differences(
    r: Float[Tensor, "*windows cells cells"], pairs: WindowPairs
) -> tuple[Float[Tensor, "*windows"], Float[Tensor, "*windows cells cells"]]:
    """Return mean((r - d)^2) over the pairs of each window, and its gradient with respect to r.

    The formula is that of Poli et al. 2022 (arXiv:2211.13152).

    Args:
        r: Cosine similarities between the units of each window. They are overwritten.
        pairs: Which pairs of cells have two units, and the nearness d of each pair.
    """
    n = sums(pairs.present)
    difference = (r - pairs.nearness).mul_(pairs.present)
    losses = (sums(difference * difference) / n).squeeze((-2, -1))
    return losses, difference.mul_(2 / n)


OBJECTIVE = OnActivations(squared_differences, centred=False)
