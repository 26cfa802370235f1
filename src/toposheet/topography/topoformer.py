"""Topoformer: constraints on the weights of attention that make its units topographic without an objective."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from toposheet.architectures import architecture_of
from toposheet.errors import UserError
from toposheet.sheet import distances
from toposheet.topography.topography import Topography

_TRAINED, _PLAIN = ".parametrizations.weight.original", ".weight"


def add_topoformer(model: nn.Module, topo: Topography, radius: float) -> None:
    """Constrain the weights of every attention of a model as in Topoformer (BinHuraib et al. 2025, arXiv:2510.18745).

    The patch of a unit consists of the unit and of all units of its tap whose cells are at most `radius` away from its
    cell. Units of other taps are not in it, also where taps share a sheet: an attention does not read them.

    - Spatial querying: unit i of a pooled query is the mean of the query over the patch of unit i, q' = M q. Attention
      is softmax(q' k / sqrt(width)). The mean is linear, so it becomes a part of the weights: W_q' = M W_q.
    - Spatial reweighting: unit i of the output is a sum of the values over the patch of unit i, and no weight of this
      sum is negative: W_o' = |W_o| within patches, and 0 elsewhere.

    Both are parametrisations (`torch.nn.utils.parametrize`), so they hold in every forward pass. Training changes W_q
    and W_o, which are part of the state of the model. `plain_state` returns W_q' and W_o' for an ordinary model. Here,
    the first W_o becomes larger, so that the output has as much variance as without the constraint.

    The published code (github.com/TahaBinhuraib/topoformer) differs in three points. It sums queries over patches and
    divides all sums by one number (the Frobenius norm of the matrix of patches); W_q can learn this scale. It lets
    patches continue at the opposite edge of the sheet; here patches are smaller at the edges. It makes W_o local and
    positive in place, before each forward pass.

    Args:
        model: An untrained model with one attention head and without biases. It is changed.
        topo: The topography of the model. Queries, values and outputs of an attention have the places of its tap.
        radius: Radius of a patch, in cells. The distance of two cells is the length of the straight line.

    Raises:
        UserError: The attention of a layer is not a tap, or a patch consists of one unit. The message names the tap.
    """
    family = architecture_of(model)
    assert family.projections is not None, "a recipe refuses other architectures"
    for tap in family.attentions(model):
        within = patches(topo, tap, radius)
        layers = family.projections(model.get_submodule(tap))
        near = torch.from_numpy(within).to(layers.output.weight)
        n_near = near.sum(dim=1)
        with torch.no_grad():
            layers.output.weight *= (len(near) / n_near).sqrt()  # (inputs, outputs)
        parametrize.register_parametrization(layers.queries, "weight", _Pooled(near / n_near[:, None]))
        parametrize.register_parametrization(layers.output, "weight", _LocalNonNegative(near))


def patches(topo: Topography, tap: str, radius: float) -> Bool[np.ndarray, "units units"]:
    """Return which units (columns) of a tap are in the patch of each unit (rows) of this tap.

    Args:
        topo: The topography.
        tap: The tap.
        radius: Radius of a patch, in cells.

    Raises:
        UserError: The topography does not have the tap, or a patch consists of one unit.
    """
    sheet = next((sheet for sheet in topo.sheets.values() if tap in sheet.places), None)
    if sheet is None:
        raise UserError(
            f"the mechanism 'topoformer' needs a place for the units of {tap}, but it is not a tap: add it to taps, or "
            "leave taps out"
        )
    places = sheet.places[tap]
    within = distances(places, "euclidean") <= radius
    if (within.sum(axis=1) == 1).any():
        raise UserError(
            f"mechanism_radius is {radius:g}, but {tap} has a unit with no other unit of {tap} in its patch: use a "
            f"larger radius, or a sheet on which the units of {tap} are nearer to each other"
        )
    return within


def plain_name(name: str) -> str:
    """Return the name that a parameter has in a model without constraints. Most names are equal in both."""
    return name.removesuffix(_TRAINED) + _PLAIN if name.endswith(_TRAINED) else name


@torch.no_grad()
def plain_state(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of a model of the same class that has no constraints and computes the same.

    Args:
        model: The model, with or without constraints.
        state: Its parameters and buffers by name, as in its `state_dict`.
    """
    plain = {}
    for name, value in state.items():
        if name.endswith(_TRAINED):
            constraint = model.get_submodule(name.removesuffix("original") + "0")
            value = constraint(value)
        plain[plain_name(name)] = value
    return plain


class _Pooled(nn.Module):
    """Returns the weights of a layer, with its first outputs, the queries, pooled over patches.

    Args:
        means: The matrix M. Row i takes the mean over the patch of unit i.
    """

    means: Tensor

    def __init__(self, means: Float[Tensor, "units units"]) -> None:
        super().__init__()
        self.register_buffer("means", means, persistent=False)

    def forward(self, weight: Float[Tensor, "inputs outputs"]) -> Float[Tensor, "inputs outputs"]:
        queries, others = weight.tensor_split([len(self.means)], dim=1)
        # In bfloat16 the pooled weights would not be those that `plain_state` returns. Device meta has no autocast.
        with nullcontext() if weight.is_meta else torch.autocast(weight.device.type, enabled=False):
            return torch.cat([queries @ self.means.T, others], dim=1)


class _LocalNonNegative(nn.Module):
    """Returns the absolute weights of a layer within patches, and 0 elsewhere.

    Args:
        near: 1 for each pair of units that are in the patch of each other, otherwise 0. It is symmetric.
    """

    near: Tensor

    def __init__(self, near: Float[Tensor, "units units"]) -> None:
        super().__init__()
        self.register_buffer("near", near, persistent=False)

    def forward(self, weight: Float[Tensor, "units units"]) -> Float[Tensor, "units units"]:
        return weight.abs() * self.near
