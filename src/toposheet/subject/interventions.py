"""What is done to the units of a model while it runs: arrays for each tap, and the hooks that apply them."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.errors import UserError, check_type
from toposheet.topography import Topography
from toposheet.topography.taps import activation_in, with_activation


@dataclass(frozen=True, eq=False)
class Effect:
    """What an intervention does to the units of one tap: output <- scale * output + shift.

    Args:
        scale: A factor for each unit; 1 leaves the unit as it is, 0 silences it.
        shift: What is added to each unit, in the units of its activation.
    """

    scale: Float[np.ndarray, " units"]
    shift: Float[np.ndarray, " units"]

    @classmethod
    def silence(cls, units: np.ndarray) -> Effect:
        """Return the effect that sets units to 0.

        Args:
            units: True for each unit of the tap that is silenced.
        """
        return cls(np.where(units, 0.0, 1.0), np.zeros(len(units)))


@dataclass(frozen=True, eq=False)
class Intervention:
    """What is done to the units of a model while it runs. A value: it changes nothing by itself.

    Args:
        name: What tables and figures call it.
        effects: The effect on each tap that is concerned.

    Example:
        silenced = Intervention("first unit", {"transformer.h.0.mlp": Effect.silence(np.arange(width) == 0)})
        lesioned = subject.intervened(silenced)
    """

    name: str
    effects: Mapping[str, Effect]

    def check(self, topography: Topography) -> None:
        """Refuse a topography that this intervention does not fit.

        Raises:
            UserError: it concerns a tap that has no place, or another number of units; or a value is not finite.
        """
        check_type("effects", self.effects, Mapping, "a dict of toposheet.Effect by tap")
        for tap, effect in self.effects.items():
            if tap not in topography.widths:
                raise UserError(
                    f"{self.name} acts on {tap}, which has no sheet; taps are: {', '.join(topography.taps)}"
                )
            check_type(f"what is done to {tap}", effect, Effect, "a toposheet.Effect")
            width = topography.widths[tap]
            for what, values in (("scale", effect.scale), ("shift", effect.shift)):
                if np.shape(values) != (width,):
                    raise UserError(
                        f"{self.name} has a {what} of shape {np.shape(values)} for the {width} units of {tap}"
                    )
                if not np.isfinite(values).all():
                    raise UserError(f"{self.name} has a {what} that is not finite at {tap}: give finite numbers")

    def digest(self) -> bytes:
        """Return a hash of what the intervention does; its name does not matter."""
        digest = hashlib.sha256()
        for tap, effect in sorted(self.effects.items()):
            arrays = [np.ascontiguousarray(values, np.float64).tobytes() for values in (effect.scale, effect.shift)]
            digest.update(tap.encode() + b"".join(arrays))
        return digest.digest()


@contextmanager
def applied(model: PreTrainedModel, interventions: Sequence[Intervention]) -> Generator[None, None, None]:
    """Let interventions act on a model, in order, until the block ends.

    Raises:
        RuntimeError: the model ran, and a tap with an intervention did not.
    """
    if not interventions:
        yield
        return
    taps = list(dict.fromkeys(tap for intervention in interventions for tap in intervention.effects))
    fired: set[str] = set()
    ran: list[bool] = []
    with ExitStack() as hooks:
        handle = model.base_model.register_forward_pre_hook(lambda *_: ran.append(True))
        hooks.callback(handle.remove)
        for tap in taps:
            effects = [i.effects[tap] for i in interventions if tap in i.effects]
            handle = model.get_submodule(tap).register_forward_hook(_acting(tap, effects, fired))
            hooks.callback(handle.remove)
        yield
    if ran and len(fired) < len(taps):
        silent = ", ".join(tap for tap in taps if tap not in fired)
        raise RuntimeError(f"the model ran without {silent}: the interventions there did nothing")


def _acting(tap: str, effects: Sequence[Effect], fired: set[str]) -> Any:
    """Return a forward hook that applies effects to what a module puts out."""
    on_device: dict[tuple[torch.device, torch.dtype], list[tuple[Tensor, ...]]] = {}

    def hook(_module: nn.Module, _inputs: object, output: Any) -> Any:
        fired.add(tap)
        activation = activation_in(output)
        key = activation.device, activation.dtype
        if key not in on_device:
            with torch.inference_mode(False):  # tensors of inference mode could not be trained through afterwards
                on_device[key] = [tuple(torch.as_tensor(a).to(*key) for a in (e.scale, e.shift)) for e in effects]
        for scale, shift in on_device[key]:
            activation = activation * scale + shift
        return with_activation(output, activation)

    return hook


def forget_compiled() -> None:
    """Make `torch.compile` trace every model anew from here on.

    Dynamo shares compiled code between models of one class, and does not look whether one of them has got hooks since:
    what it compiled before would run without them.
    """
    torch.compiler.reset()


@contextmanager
def uncompiled(model: nn.Module) -> Generator[None, None, None]:
    """Run the modules of a model as they were before `module.compile()`: compiled code does not see new hooks."""
    compiled = {module: module._compiled_call_impl for module in model.modules() if module._compiled_call_impl}
    for module in compiled:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, implementation in compiled.items():
            module._compiled_call_impl = implementation


def has_foreign_hooks(model: nn.Module) -> bool:
    """Return whether somebody else's hooks or `forward` sit on a model: they may change what it computes."""
    for_all = torch.nn.modules.module
    if for_all._global_forward_hooks or for_all._global_forward_pre_hooks:
        return True
    return any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules())
