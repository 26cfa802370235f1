"""What an objective is: a function of activations, window by window, or of weights, sheet by sheet."""

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
    """An objective on the activations of a batch, through the similarities of the units of each window.

    Args:
        losses: Given the similarities (..., cells, cells) of the units of windows, and their pairs: the loss of each
            window, and its gradient with respect to the similarities. See `known/correlation.py`.
        centred: Whether similarities are Pearson correlations; if not, they are cosines.
        shuffled: Whether each pair of cells has the nearness of another pair, drawn once and for all: the control that
            has no topography to learn.
    """

    losses: Callable[[Tensor, WindowPairs], tuple[Tensor, Tensor]]
    centred: bool = True
    shuffled: bool = False
    on_weights = False


@dataclass(frozen=True)
class OnWeights:
    """An objective on what the units of a sheet read.

    Args:
        loss: Given the weights (inputs, units) of the units of a sheet, and the sheet: the loss of the sheet.
    """

    loss: Callable[[Tensor, Sheet], Tensor]
    on_weights = True


Objective = OnActivations | OnWeights


# The objectives that are there, as torch.compile can follow them: it traces a look-up in a dict, and no import.
_FOLLOWED: dict[str, Objective] = {}


def objective_named(name: str) -> Objective:
    """Return an objective, inside `torch.compile` too.

    Raises:
        UserError: there is none of this name; the message names the nearest.
    """
    _follow(name)
    return _FOLLOWED[name]


@torch.compiler.assume_constant_result
def _follow(name: str) -> None:
    OBJECTIVES.check(name)
    _FOLLOWED.update(OBJECTIVES.items())
