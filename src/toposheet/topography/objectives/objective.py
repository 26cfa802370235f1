"""The two kinds of objective: a loss of the activations in each window, or a loss of the weights of each sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toposheet.sheet import Sheet
from toposheet.topography.objectives import OBJECTIVES
from toposheet.topography.objectives.similarity import WindowPairs


@dataclass(frozen=True)
class OnActivations:
    """An objective on activations: a loss of the similarities between the units of each window.

    Args:
        losses: A function of the similarities (..., cells, cells) between the units of windows, and of the pairs of
            these units. It returns the loss of each window, and the gradient of the loss with respect to the
            similarities. See `known/correlation.py`.
        centred: True: similarities are Pearson correlations. False: similarities are cosines.
        shuffled: Whether the nearness values of the pairs of cells are shuffled among the pairs. The shuffling is drawn
            once and never changes. This gives a control objective: no arrangement of units can make it small.
    """

    losses: Callable[[Tensor, WindowPairs], tuple[Tensor, Tensor]]
    centred: bool = True
    shuffled: bool = False
    on_weights = False


@dataclass(frozen=True)
class OnWeights:
    """An objective on weights: a loss of the input weights of the units of a sheet.

    Args:
        loss: A function of the weights (inputs, units) of the units of a sheet, and of the sheet. It returns the loss
            of the sheet.
    """

    loss: Callable[[Tensor, Sheet], Tensor]
    on_weights = True


Objective = OnActivations | OnWeights


# torch.compile can trace a look-up in this dict, but not the imports of the registry.
_LOADED: dict[str, Objective] = {}


def objective_named(name: str) -> Objective:
    """Return the objective of a name. This works inside `torch.compile` too.

    Raises:
        UserError: No objective has this name. The message names a similar one.
    """
    _load(name)
    return _LOADED[name]


@torch.compiler.assume_constant_result
def _load(name: str) -> None:
    _LOADED[name] = OBJECTIVES[name]
