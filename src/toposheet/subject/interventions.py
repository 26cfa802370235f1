"""Interventions: changes of the activations of units while a model runs, and the hooks that make these changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.errors import UserError, check_type
from toposheet.settings import check_choice, check_seed
from toposheet.subject.noise import NoiseAtTap, token_places
from toposheet.topography import Topography
from toposheet.topography.bases import coordinates_of, units_of
from toposheet.topography.taps import ForwardPass, Point, on_following_input, on_tap


@dataclass(frozen=True, eq=False)
class Effect:
    """The effect of an intervention on the units of one tap: activation <- scale * activation + shift + noise.

    Args:
        scale: A factor for each unit. 1 leaves the unit unchanged, 0 silences the unit.
        shift: A number for each unit, which is added to its activation after the multiplication.
        noise: The standard deviation of normal noise that is added to the activation of each unit, in the unit of the
            activation. The noise of a unit depends on `seed`, on the unit and on the position of the token in its text.
            It does not depend on the other texts of a batch, and is the same with and without a key-value cache. None:
            no noise.
        seed: Seed of the noise.
        point: Where the effect acts. `"output"`: on the activation of the tap. `"input"`: on what the next module of
            the network reads in place of this activation, see `Architecture.following`. The residual stream then keeps
            the activation, and only this module misses it. The published code of TopoLM makes lesions in this way.
    """

    scale: Float[np.ndarray, " units"]
    shift: Float[np.ndarray, " units"]
    noise: Float[np.ndarray, " units"] | None = None
    seed: int = 0
    point: Point = "output"

    @classmethod
    def silence(cls, units: Bool[np.ndarray, " units"], point: Point = "output") -> Effect:
        """Return the effect that sets the activations of chosen units to 0; in a tap with a basis, up to rounding.

        Args:
            units: A boolean for each unit of the tap. True: the unit is silenced. False: the unit is unchanged.
            point: Where the effect acts.
        """
        return cls(np.where(units, 0.0, 1.0), np.zeros(len(units)), point=point)

    @property
    def arrays(self) -> dict[str, Float[np.ndarray, " units"]]:
        """The arrays of the effect by name: scale, shift and, if there is noise, noise."""
        arrays = {"scale": self.scale, "shift": self.shift}
        return arrays if self.noise is None else arrays | {"noise": self.noise}


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
                a value is not finite. Or a standard deviation is negative, or `seed` or `point` is not a valid value.
        """
        check_type("effects", self.effects, Mapping, "a dict {tap: toposheet.Effect}")
        for tap, effect in self.effects.items():
            if tap not in topography.widths:
                raise UserError(
                    f"{self.name} acts on {tap}, which has no sheet; taps with sheets: {', '.join(topography.taps)}"
                )
            check_type(f"the effect on {tap}", effect, Effect, "a toposheet.Effect")
            width = topography.widths[tap]
            check_seed(effect.seed)
            check_choice("point", effect.point, get_args(Point))
            for what, values in effect.arrays.items():
                if np.shape(values) != (width,):
                    raise UserError(
                        f"{self.name} has a {what} of shape {np.shape(values)} for {tap}: the shape must be "
                        f"({width},), one number for each unit"
                    )
                if not np.isfinite(values).all():
                    raise UserError(f"{self.name} has a {what} with nan or inf for {tap}: give finite numbers")
            if effect.noise is not None and (effect.noise < 0).any():
                raise UserError(f"{self.name} has noise below 0 for {tap}: give standard deviations")

    def digest(self) -> bytes:
        """Return a hash of the effects. The name of the intervention does not change it."""
        digest = hashlib.sha256()
        for tap, effect in sorted(self.effects.items()):
            arrays = [np.ascontiguousarray(values, np.float64).tobytes() for values in effect.arrays.values()]
            seed = effect.seed if effect.noise is not None else 0
            digest.update(f"{tap} {effect.point} {seed} {len(arrays)}".encode() + b"".join(arrays))
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
    effects: dict[tuple[str, Point], list[Effect]] = {}
    for intervention in interventions:
        for tap, effect in intervention.effects.items():
            effects.setdefault((tap, effect.point), []).append(effect)
    fired: set[tuple[str, Point]] = set()
    ran: list[bool] = []
    with ExitStack() as hooks:
        for handle in ForwardPass().watch(model, lambda *_: ran.append(True)):
            hooks.callback(handle.remove)
        noisy = any(effect.noise is not None for of_tap in effects.values() for effect in of_tap)
        places = hooks.enter_context(token_places(model)) if noisy else None
        for (tap, point), of_tap in effects.items():
            change = _change(of_tap, bases.get(tap), None if places is None else places.of_tap(tap, point))

            def affected(activation: Tensor, key: tuple[str, Point] = (tap, point), change: Change = change) -> Tensor:
                fired.add(key)
                return change(activation)

            hook = on_tap if point == "output" else on_following_input
            for handle in hook(model, tap, affected):
                hooks.callback(handle.remove)
        yield
    if ran and len(fired) < len(effects):
        silent = ", ".join(tap for tap, point in effects if (tap, point) not in fired)
        raise RuntimeError(
            f"the model ran, but these taps did not run, so their interventions had no effect: {silent}; check "
            "that the forward pass uses these modules"
        )


Change = Callable[[Tensor], Tensor]


def _change(effects: Sequence[Effect], basis: Float[Tensor, "units units"] | None, noise: NoiseAtTap | None) -> Change:
    """Return a function that applies the effects on a tap, in order, to its activation."""
    given = [{name: torch.as_tensor(values) for name, values in effect.arrays.items()} for effect in effects]
    on_device: dict[tuple[torch.device, torch.dtype], list[dict[str, Tensor]]] = {}

    def changed(activation: Tensor) -> Tensor:
        before = activation if basis is None else units_of(activation, basis)
        key = before.device, before.dtype
        if key not in on_device:
            with torch.inference_mode(False):  # autograd cannot use tensors that were made in inference mode
                on_device[key] = [{n: values.to(*key) for n, values in arrays.items()} for arrays in given]
        after = before
        for effect, arrays in zip(effects, on_device[key], strict=True):
            after = torch.addcmul(arrays["shift"], after, arrays["scale"])
            if noise is not None and "noise" in arrays:
                after = after + arrays["noise"] * noise(after, effect.seed)
        return after if basis is None else activation + coordinates_of(after - before, basis).to(activation.dtype)

    return changed


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
