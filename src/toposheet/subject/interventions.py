"""Interventions: changes of the activations of units while a model runs, and the hooks that make these changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.architectures import architecture_of
from toposheet.errors import UserError, check_type
from toposheet.topography import Topography
from toposheet.topography.bases import coordinates_of, units_of
from toposheet.topography.taps import on_tap


@dataclass(frozen=True, eq=False)
class Effect:
    """The effect of an intervention on the units of one tap: output <- scale * output + shift.

    Args:
        scale: A factor for each unit. 1 leaves the unit unchanged, 0 silences the unit.
        shift: A number for each unit, which is added to its activation after the multiplication.
    """

    scale: Float[np.ndarray, " units"]
    shift: Float[np.ndarray, " units"]

    @classmethod
    def silence(cls, units: np.ndarray) -> Effect:
        """Return the effect that sets the activations of chosen units to 0; in a tap with a basis, up to rounding.

        Args:
            units: A boolean for each unit of the tap. True: the unit is silenced. False: the unit is unchanged.
        """
        return cls(np.where(units, 0.0, 1.0), np.zeros(len(units)))


@dataclass(frozen=True, eq=False)
class Intervention:
    """A change of the activations of units while a model runs.

    An intervention is a value. It acts on a model only if it is part of a subject: see `Subject.intervened`.

    Args:
        name: Name in tables and figures.
        effects: The effects: {tap: effect}. Taps without an effect are unchanged.

    Example:
        silenced = Intervention("first unit", {"transformer.h.0.mlp": Effect.silence(np.arange(width) == 0)})
        lesioned = subject.intervened(silenced)
    """

    name: str
    effects: Mapping[str, Effect]

    def check(self, topography: Topography) -> None:
        """Refuse a topography that this intervention does not fit.

        Raises:
            UserError: A tap with an effect has no sheet, an effect does not have one value for each unit of its tap, or
                a value is not finite.
        """
        check_type("effects", self.effects, Mapping, "a dict {tap: toposheet.Effect}")
        for tap, effect in self.effects.items():
            if tap not in topography.widths:
                raise UserError(
                    f"{self.name} acts on {tap}, which has no sheet; taps with sheets: {', '.join(topography.taps)}"
                )
            check_type(f"the effect on {tap}", effect, Effect, "a toposheet.Effect")
            width = topography.widths[tap]
            for what, values in (("scale", effect.scale), ("shift", effect.shift)):
                if np.shape(values) != (width,):
                    raise UserError(
                        f"{self.name} has a {what} of shape {np.shape(values)} for {tap}: the shape must be "
                        f"({width},), one number for each unit"
                    )
                if not np.isfinite(values).all():
                    raise UserError(f"{self.name} has a {what} with nan or inf for {tap}: give finite numbers")

    def digest(self) -> bytes:
        """Return a hash of the effects. The name of the intervention does not change it."""
        digest = hashlib.sha256()
        for tap, effect in sorted(self.effects.items()):
            arrays = [np.ascontiguousarray(values, np.float64).tobytes() for values in (effect.scale, effect.shift)]
            digest.update(tap.encode() + b"".join(arrays))
        return digest.digest()


@contextmanager
def applied(
    model: PreTrainedModel, topography: Topography, interventions: Sequence[Intervention]
) -> Generator[None, None, None]:
    """Let interventions act on a model, in order, inside this context.

    If a tap has a basis Q, its effects f act on its units: the output x of the tap becomes Q' f(Q x). This is computed
    as x + Q' (f(Q x) - Q x), so that an effect that changes nothing leaves the output as it is, to the bit.

    Args:
        model: The model.
        topography: Its topography, with the bases of taps.
        interventions: The interventions.

    Raises:
        RuntimeError: The model ran, but a tap with an intervention did not run.
    """
    if not interventions:
        yield
        return
    bases = topography.bases_for(model)
    taps = list(dict.fromkeys(tap for intervention in interventions for tap in intervention.effects))
    fired: set[str] = set()
    ran: list[bool] = []
    with ExitStack() as hooks:
        handle = architecture_of(model).body(model).register_forward_pre_hook(lambda *_: ran.append(True))
        hooks.callback(handle.remove)
        for tap in taps:
            effects = [i.effects[tap] for i in interventions if tap in i.effects]
            for handle in on_tap(model, tap, _effects(tap, effects, bases.get(tap), fired)):
                hooks.callback(handle.remove)
        yield
    if ran and len(fired) < len(taps):
        silent = ", ".join(tap for tap in taps if tap not in fired)
        raise RuntimeError(
            f"the model ran, but these taps did not run, so their interventions had no effect: {silent}; check "
            "that the forward pass uses these modules"
        )


def _effects(
    tap: str, effects: Sequence[Effect], basis: Float[Tensor, "units units"] | None, fired: set[str]
) -> Callable[[Tensor], Tensor]:
    """Return a function that applies the effects on a tap, in order, to its activation."""
    on_device: dict[tuple[torch.device, torch.dtype], list[tuple[Tensor, ...]]] = {}

    def affected(activation: Tensor) -> Tensor:
        fired.add(tap)
        before = activation if basis is None else units_of(activation, basis)
        key = before.device, before.dtype
        if key not in on_device:
            with torch.inference_mode(False):  # autograd cannot use tensors that were made in inference mode
                on_device[key] = [tuple(torch.as_tensor(a).to(*key) for a in (e.scale, e.shift)) for e in effects]
        after = before
        for scale, shift in on_device[key]:
            after = after * scale + shift
        return after if basis is None else activation + coordinates_of(after - before, basis).to(activation.dtype)

    return affected


def forget_compiled() -> None:
    """Discard all code that `torch.compile` has compiled, so that every model is compiled again at its next call.

    Dynamo shares compiled code between models of one class. It does not check whether a model has got hooks since the
    code was compiled. The old code would run without these hooks.
    """
    torch.compiler.reset()


@contextmanager
def uncompiled(model: nn.Module) -> Generator[None, None, None]:
    """Run a model without the code of `module.compile()` inside this context. Compiled code ignores new hooks."""
    compiled = {module: module._compiled_call_impl for module in model.modules() if module._compiled_call_impl}
    for module in compiled:
        module._compiled_call_impl = None
    try:
        yield
    finally:
        for module, implementation in compiled.items():
            module._compiled_call_impl = implementation


def has_foreign_hooks(model: nn.Module) -> bool:
    """Return whether a model has hooks, or a module whose `forward` was replaced. Both can change what it computes.

    toposheet removes its hooks when a subject stops running, so hooks that are left come from other code.
    """
    for_all = torch.nn.modules.module
    if for_all._global_forward_hooks or for_all._global_forward_pre_hooks:
        return True
    return any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules())
