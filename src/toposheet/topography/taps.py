"""Finding the tensors of a network whose units get places, and recording them."""

from __future__ import annotations

import re
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from toposheet.architectures import architecture_of
from toposheet.errors import UserError


def find_taps(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Return the paths of the modules that match any pattern, in the order of the network.

    Args:
        model: Any network.
        patterns: Module paths in which `*` stands for one step, e.g. `transformer.h.*.attn`.

    Raises:
        UserError: a pattern matches nothing; the message lists the patterns that would.
    """
    names = [name for name, _ in model.named_modules() if name]
    matching = set()
    for pattern in patterns:
        expression = re.compile(re.escape(pattern).replace(r"\*", "[^.]*"))
        matches = [name for name in names if expression.fullmatch(name)]
        if not matches:
            known_patterns = dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names if "." in name)
            raise UserError(f"the tap pattern {pattern!r} matches no module; there are: {', '.join(known_patterns)}")
        matching.update(matches)
    return [name for name in names if name in matching]


def within_base_model(model: Any, taps: Sequence[str]) -> bool:
    """Return whether all taps are in a `transformers` model without its head, so that the head need not run."""
    inside = set(model.base_model.modules())
    return all(model.get_submodule(tap) in inside for tap in taps)


def activation_in(output: Any) -> Any:
    """Return the activation in what a module puts out; attention modules put out (activation, attention weights)."""
    return output[0] if isinstance(output, tuple) else output


def with_activation(output: Any, activation: Tensor) -> Any:
    """Return what a module puts out, with another activation in it."""
    return (activation, *output[1:]) if isinstance(output, tuple) else activation


class Activations(dict[str, Tensor]):
    """What the taps of a model put out: {tap: (batch, time, units)}.

    Args:
        training: Whether the model was in training when it was recorded, so that the activations should carry a
            gradient.
    """

    def __init__(self, training: bool) -> None:
        super().__init__()
        self.training = training


class _ForwardPass:
    """Whether a forward pass is under way, told by the modules whose call is one, outermost first: see `entrances`."""

    def __init__(self) -> None:
        self.depth: int | None = None  # of the module whose call the pass is; None where no pass is under way

    def begins(self, depth: int) -> bool:
        """Return whether the call of the module of this depth is a new pass, not a part of the one under way."""
        if self.depth is not None and self.depth < depth:
            return False
        self.depth = depth
        return True

    def ends(self, depth: int) -> None:
        """Take note that the call of the module of this depth has returned."""
        if depth == self.depth:
            self.depth = None


@contextmanager
def record(model: nn.Module, taps: Sequence[str]) -> Generator[Activations, None, None]:
    """Fill a dict with what each tap puts out while the model runs: {tap: (batch, time, units)}.

    What is recorded is a copy: a model may write to what a module has put out (Falcon adds the output of attention to
    that of the MLP in place). The copies stay part of the graph, and the dict stays filled after the block. A new
    forward pass empties it.

    Raises:
        UserError: (by the forward pass) a tap runs more than once in one forward pass; names the tap.

    Example:
        with record(model, taps) as activations:
            model(input_ids)
    """
    activations = Activations(training=model.training and torch.is_grad_enabled())
    family, forward_pass = architecture_of(model), _ForwardPass()
    flat = [tap for tap in taps if tap.rpartition(".")[2] in family.flat]
    time_first = [tap for tap in taps if family.time_first and within_base_model(model, [tap])]
    reads: dict[str, torch.Size] = {}  # the shape of the token ids that the model reads now, (batch, time)

    def keep(tap: str):
        def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
            if tap in activations and forward_pass.depth is not None:
                raise UserError(
                    f"the tap {tap} runs more than once in a forward pass, so its units have no one response: "
                    "choose taps that run once"
                )
            x = activation_in(output)
            x = x.clone() if isinstance(x, Tensor) else x
            if tap in time_first:
                x = x.transpose(0, 1)
            activations[tap] = x.unflatten(0, reads["shape"]) if tap in flat else x

        return hook

    def begin(depth: int):
        def hook(_module: nn.Module, _inputs: object) -> None:
            if forward_pass.begins(depth):
                activations.clear()

        return hook

    def end(depth: int):
        def hook(_module: nn.Module, _inputs: object, _output: object) -> None:
            forward_pass.ends(depth)

        return hook

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        reads["shape"] = inputs[0].shape

    handles = [model.get_submodule(tap).register_forward_hook(keep(tap)) for tap in taps]
    for depth, entrance in enumerate(family.entrances(model)):
        handles += [entrance.register_forward_pre_hook(begin(depth)), entrance.register_forward_hook(end(depth))]
    if flat:
        handles.append(family.embeddings(model).register_forward_pre_hook(note))
    try:
        yield activations
    finally:
        for handle in handles:
            handle.remove()


# Taps that were seen to run once in a forward pass: whoever stops a pass early cannot see whether a tap runs again.
_RUN_ONCE: weakref.WeakKeyDictionary[nn.Module, set[str]] = weakref.WeakKeyDictionary()


def check_run_once(model: nn.Module, taps: Sequence[str]) -> None:
    """Refuse taps that run more than once in a forward pass. The model is run on one token, but only the first time.

    Raises:
        UserError: the message names the tap.
    """
    if not _RUN_ONCE.get(model, set()).issuperset(taps):
        tap_widths(model, taps)


def tap_widths(model: nn.Module, taps: Sequence[str]) -> dict[str, int]:
    """Return how many units each tap has, found by running the model on one token.

    Raises:
        UserError: a tap puts out no (batch, time, units) tensor, is not reached, or runs more than once.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), record(model, taps) as activations:
            model(torch.zeros((1, 1), dtype=torch.long, device=device))
    finally:
        model.train(training)
    for tap in taps:
        if tap not in activations:
            raise UserError(f"the tap {tap} was not reached when the model ran")
        output = activations[tap]
        if not isinstance(output, Tensor) or output.ndim != 3 or output.shape[:2] != (1, 1):
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UserError(f"the tap {tap} puts out {shape}: it must be a (batch, time, units) tensor")
    _RUN_ONCE.setdefault(model, set()).update(taps)
    return {tap: activations[tap].shape[-1] for tap in taps}


def output_weights(model: nn.Module, widths: Mapping[str, int]) -> dict[str, Tensor]:
    """Return what each unit of a tap reads: {tap: (inputs, units)}, the weights of the last layer inside the module.

    Args:
        model: The network.
        widths: How many units each tap has.

    Raises:
        UserError: there is no linear layer in the tap that puts out its units.
    """
    weights = {}
    for tap, width in widths.items():
        for module in model.get_submodule(tap).modules():
            if isinstance(module, nn.Linear) and module.out_features == width:
                weights[tap] = module.weight.T
            elif isinstance(module, Conv1D) and module.weight.shape[1] == width:
                weights[tap] = module.weight
        if tap not in weights:
            raise UserError(f"the tap {tap} has no linear layer that puts out its {width} units")
    return weights
