"""All-TNN: neighbours that read their inputs alike."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from toposheet.errors import UserError
from toposheet.sheet import Sheet
from toposheet.topography.objectives.objective import OnWeights
from toposheet.topography.objectives.similarity import cosines


def all_tnn(weights: Float[Tensor, "inputs units"], sheet: Sheet) -> Float[Tensor, ""]:
    """Return the mean cosine distance of neighbours' weights: All-TNN (Lu et al. 2025, doi:10.1038/s41562-025-02220-7).

    Neighbours share an edge; a hole has none.

    Args:
        weights: What each unit reads of its inputs.
        sheet: Where the units sit.

    Returns:
        0 where neighbours have equal weights, 1 where they have nothing in common, up to 2.

    Raises:
        UserError: no two units are neighbours.
    """
    unit_at = torch.full(sheet.shape, -1)
    y, x = torch.from_numpy(sheet.coordinates.T.copy())
    unit_at[y, x] = torch.arange(sheet.n_units)
    below = torch.stack([unit_at[:-1].flatten(), unit_at[1:].flatten()])
    beside = torch.stack([unit_at[:, :-1].flatten(), unit_at[:, 1:].flatten()])
    edges = torch.cat([below, beside], dim=1)
    ours, theirs = edges[:, (edges >= 0).all(dim=0)].to(weights.device)
    if len(ours) == 0:
        raise UserError("all_tnn compares neighbours, and no two units of the sheet share an edge: use a fuller sheet")
    return 1 - cosines(weights[:, ours], weights[:, theirs]).mean()


OBJECTIVE = OnWeights(all_tnn)
