"""All-TNN: the loss is small if adjacent units have similar input weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from toposheet.errors import UserError
from toposheet.sheet import Sheet
from toposheet.topography.objectives.objective import OnWeights
from toposheet.topography.objectives.similarity import cosines


def all_tnn(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return the mean cosine distance between the weights of adjacent units (All-TNN, Lu et al. 2025).

    Two units are adjacent if their cells share an edge. Holes do not count.
    doi:10.1038/s41562-025-02220-7

    Args:
        weights: Input weights of each unit.
        sheet: The sheet with the place of each unit.

    Returns:
        0 if adjacent units have the same weights (up to a positive factor), 1 if their weights are unrelated, at most
        2.

    Raises:
        UserError: No two units are adjacent.
    """
    unit_at = torch.full(sheet.shape, -1)
    y, x = torch.from_numpy(sheet.coordinates.T.copy())
    unit_at[y, x] = torch.arange(sheet.n_units)
    below = torch.stack([unit_at[:-1].flatten(), unit_at[1:].flatten()])
    beside = torch.stack([unit_at[:, :-1].flatten(), unit_at[:, 1:].flatten()])
    edges = torch.cat([below, beside], dim=1)
    units, neighbors = edges[:, (edges >= 0).all(dim=0)].to(weights.device)
    if len(units) == 0:
        raise UserError(
            "all_tnn compares adjacent units, but no two units of the sheet share an edge: "
            "use a sheet with fewer empty cells"
        )
    return 1 - cosines(weights[:, units], weights[:, neighbors]).mean()


OBJECTIVE = OnWeights(all_tnn)
