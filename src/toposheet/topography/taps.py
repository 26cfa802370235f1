"""Taps: the tensors of a network whose units get places. They are found by name, and recorded while a model runs.

A tap is the output of a module, which is named by its path: `transformer.h.3.attn`. Or it is the residual stream after
this output was added to it: `transformer.h.3.attn>residual`. In many models no module puts out this tensor.
"""

from __future__ import annotations

import inspect
import re
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from toposheet.architectures import architecture_of
from toposheet.architectures.mode import in_mode
from toposheet.errors import UserError, first_line
from toposheet.topography.bases import units_of
from toposheet.wording import counted

RESIDUAL = ">residual"
"""The end of the name of a tap that is the residual stream after the output of a module was added to it."""

Point = Literal["output", "input"]
"""Where an intervention on a tap acts: on its activation, or on what the next module reads in place of it."""


def find_taps(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Return the taps that match at least one pattern, in the order of the network.

    Args:
        model: Any network.
        patterns: Paths of modules. `*` stands for one step of a path, for example `transformer.h.*.attn`. A path that
            ends with `>residual` stands for the residual stream after the output of the module was added to it; the
            module must be the attention or the MLP of a layer.

    Raises:
        UserError: There is no pattern, or no module matches a pattern. The message lists patterns that match modules.
            Or there is no residual stream after a module.
    """
    if not patterns:
        raise UserError("there are no taps: give the path of at least one module, or leave the taps out")
    names = [name for name, _ in model.named_modules() if name]
    matching: set[str] = set()
    for pattern in patterns:
        path, end = module_path(pattern), pattern[len(module_path(pattern)) :]
        expression = re.compile(re.escape(path).replace(r"\*", "[^.]*"))
        matches = [name for name in names if expression.fullmatch(name)]
        if not matches:
            raise UserError(f"the tap pattern {pattern!r} matches no module; use one of: {', '.join(_patterns(model))}")
        matching.update(name + end for name in matches)
    taps = [tap for name in names for tap in (name, name + RESIDUAL) if tap in matching]
    for tap in taps:
        if tap.endswith(RESIDUAL):
            _block_of(model, tap)
    return taps


def module_path(tap: str) -> str:
    """Return the path of the module of a tap: of the module that puts it out, or that adds its output to it."""
    return tap.removesuffix(RESIDUAL)


def on_tap(model: nn.Module, tap: str, function: Callable[[Any], Any]) -> list[RemovableHandle]:
    """Call a function with the activation of a tap whenever the tap runs, and return the handles of the hooks.

    Args:
        model: The network.
        tap: The tap. The residual stream after attention is the input of the block plus the output of attention, and
            the residual stream after the MLP is the output of the block.
        function: It gets what the tap puts out. It returns the activation with which the network goes on, or None: the
            activation is unchanged.

    Raises:
        UserError: There is no residual stream after the module of the tap.
    """
    module = model.get_submodule(module_path(tap))
    block, attention = _block_of(model, tap) if tap.endswith(RESIDUAL) else (module, False)
    if not attention:

        def on_output(_module: nn.Module, _inputs: object, output: Any) -> Any:
            new = function(activation_in(output))
            return None if new is None else with_activation(output, new)

        return [block.register_forward_hook(on_output)]
    entered: list[Any] = []

    def enter(_block: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        entered[:] = [next(iter((*inputs, *options.values())))]

    def add(_module: nn.Module, _inputs: object, output: Any) -> Any:
        x = activation_in(output)
        if not entered or not isinstance(x, Tensor):
            after = function(x)
            return None if after is None else with_activation(output, after)
        stream = entered.pop()
        before = stream + x
        after = function(before)
        if after is None:
            return None
        # The block adds the stream again. Both forms are equal but for rounding: the first keeps an unchanged unit to
        # the bit, and the second makes a silenced unit exactly 0.
        return with_activation(output, torch.where(after == before, x + (after - before), after - stream))

    return [block.register_forward_pre_hook(enter, with_kwargs=True), module.register_forward_hook(add)]


def on_following_input(model: nn.Module, tap: str, function: Callable[[Tensor], Tensor]) -> list[RemovableHandle]:
    """Change what the next module reads in place of the activation of a tap, and return the handles of the hooks.

    Args:
        model: The network.
        tap: The tap. The next module is that of `Architecture.following`.
        function: It gets the input of the next module, and returns the input with which this module goes on.

    Raises:
        UserError: It is not known which module reads the residual stream next.
    """
    following = architecture_of(model).following(model, module_path(tap))

    def enter(_module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if inputs:
            return (function(inputs[0]), *inputs[1:]), options
        name = next(iter(options))
        return inputs, options | {name: function(options[name])}

    return [following.register_forward_pre_hook(enter, with_kwargs=True)]


def is_flat(model: nn.Module, tap: str) -> bool:
    """Return whether the output of a tap can have the shape (tokens, units), with the tokens of all texts in a row."""
    return tap.rpartition(".")[2] in architecture_of(model).flat


def is_time_first(model: nn.Module, tap: str) -> bool:
    """Return whether the output of a tap has the shape (time, batch, units)."""
    return architecture_of(model).time_first and within_base_model(model, [tap])


def _block_of(model: nn.Module, tap: str) -> tuple[nn.Module, bool]:
    """Return the block whose residual stream is a tap, and whether the tap is the stream after attention.

    Raises:
        UserError: The module of the tap is neither the attention nor the MLP of a block.
    """
    family, path = architecture_of(model), module_path(tap)
    blocks = set(family.blocks(model))
    for name, block in model.named_modules():
        within = path.removeprefix(f"{name}.") if block in blocks else path
        if within != path and within in (*family.attention, *family.mlp):
            return block, within in family.attention
    patterns = ", ".join(f"{pattern}{RESIDUAL}" for pattern in family.taps(model))
    raise UserError(
        f"toposheet does not know the residual stream after {path}: only attention and MLP of a layer have one, for "
        f"example {patterns}"
    )


def _patterns(model: nn.Module) -> dict[str, None]:
    """Return patterns that match the modules of a model, without lists of modules, which have no activations."""
    names = [n for n, module in model.named_modules() if "." in n and not isinstance(module, nn.ModuleList)]
    return dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names)


def within_base_model(model: Any, taps: Sequence[str]) -> bool:
    """Return whether all taps are in the model without its head."""
    inside = set(architecture_of(model).body(model).modules())
    return all(model.get_submodule(module_path(tap)) in inside for tap in taps)


def activation_in(output: Any) -> Any:
    """Return the activation in the output of a module. Attention modules return [activation, attention weights]."""
    return output[0] if isinstance(output, tuple | list) else output


def with_activation(output: Any, activation: Tensor) -> Any:
    """Return the output of a module with its activation replaced."""
    if isinstance(output, list):
        return [activation, *output[1:]]
    return (activation, *output[1:]) if isinstance(output, tuple) else activation


class Activations(dict[str, Tensor]):
    """The recorded activations of the taps of a model: {tap: (batch, time, units)}.

    Args:
        training: Whether the model was in training mode, with gradients, when the recording began. The activations
            should then have a gradient.
    """

    def __init__(self, training: bool) -> None:
        super().__init__()
        self.training = training


class ForwardPass:
    """Keeps track of the forward passes of a model.

    A forward pass is a call of one of the modules of `Architecture.entrances`. Calls of further entrances inside it
    belong to the same pass.
    """

    def __init__(self) -> None:
        # The position of the called module in the list of entrances; the outermost has depth 0. None: no pass runs.
        self._depth: int | None = None

    @property
    def runs(self) -> bool:
        """Whether a forward pass is running."""
        return self._depth is not None

    def watch(
        self,
        model: nn.Module,
        begin: Callable[[tuple[Any, ...], dict[str, Any]], None],
        end: Callable[[bool], None] = lambda _failed: None,
    ) -> list[RemovableHandle]:
        """Call functions whenever a forward pass begins and ends, and return the handles of the hooks.

        Args:
            model: The network.
            begin: It gets the arguments of the called module, without and with names.
            end: It gets whether the pass failed.
        """
        handles = []
        for depth, entrance in enumerate(architecture_of(model).entrances(model)):

            def enter(_module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], depth: int = depth) -> None:
                if self._depth is None or depth <= self._depth:
                    self._depth = depth
                    begin(inputs, options)

            def leave(_module: nn.Module, _inputs: object, output: object, depth: int = depth) -> None:
                if depth == self._depth:
                    self._depth = None
                    end(output is None)

            handles.append(entrance.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(entrance.register_forward_hook(leave, always_call=True))  # also after a pass that fails
        return handles


@contextmanager
def record(
    model: nn.Module, taps: Sequence[str], bases: Mapping[str, Float[Tensor, "_ _"]] | None = None
) -> Generator[Activations, None, None]:
    """Give a dict that each forward pass fills with the activations of the taps: {tap: (batch, time, units)}.

    The dict stays filled after this context. Each new forward pass empties it first. It holds copies of the
    activations, because a model can change the output of a module in place; Falcon, for example, adds the output of
    attention to the output of the MLP in this way. Gradients flow through the copies.

    Args:
        model: The network.
        taps: The taps to record.
        bases: The bases of some taps, see `Topography`. The activations of these taps are those of their units. None:
            all activations are in the network's own coordinates.

    Raises:
        UserError: A tap runs more than once in a forward pass, its output does not have one place for each token, or
            its basis has another width. The forward pass raises the error, and the message names the tap.

    Example:
        with record(model, taps) as activations:
            model(input_ids)
    """
    activations = Activations(training=model.training and torch.is_grad_enabled())
    family, forward_pass = architecture_of(model), ForwardPass()
    shape: list[torch.Size | None] = [None]  # (batch, time) of the tokens; None: unknown
    flat = [tap for tap in taps if is_flat(model, tap)]
    time_first = [tap for tap in taps if is_time_first(model, tap)]
    reads: dict[str, torch.Size] = {}  # shape (batch, time) of the tokens that the present block reads
    # The encoder and the decoder of one model can read different tokens.
    one_text = not getattr(getattr(model, "config", None), "is_encoder_decoder", False)

    def keep(tap: str):
        basis = None if bases is None else bases.get(tap)

        def hook(x: Any) -> None:
            if tap in activations and forward_pass.runs:
                raise UserError(
                    f"the tap {tap} runs more than once in a forward pass, so its units do not have a single "
                    "response: choose taps that run once"
                )
            if isinstance(x, Tensor):
                x = x.clone() if basis is None else _in_basis(tap, x, basis)
            if tap in time_first:
                x = x.transpose(0, 1)
            activations[tap] = x.unflatten(0, reads["block"]) if tap in flat and x.ndim == 2 else x

        return hook

    def begin(inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        activations.clear()
        shape[0] = shape_of_text(inputs, options) if one_text else None

    def end(failed: bool) -> None:
        if not failed and shape[0] is not None:
            check_shapes(activations, shape[0])

    def note(_module: nn.Module, inputs: tuple[Tensor, ...], options: dict[str, Any]) -> None:
        first = next(iter((*inputs, *options.values())))  # (batch, time, width), from token ids or from inputs_embeds
        reads["block"] = first.shape[:2]

    handles = [handle for tap in taps for handle in on_tap(model, tap, keep(tap))]
    handles += forward_pass.watch(model, begin, end)
    if flat:
        handles += [block.register_forward_pre_hook(note, with_kwargs=True) for block in family.blocks(model)]
    try:
        yield activations
    finally:
        for handle in handles:
            handle.remove()


def _in_basis(tap: str, x: Tensor, basis: Float[Tensor, "units units"]) -> Tensor:
    """Return the activations of the units of a tap, in the precision of its output.

    Raises:
        UserError: The basis has another width than the output.
    """
    if x.shape[-1] != len(basis):
        raise UserError(f"the basis of {tap} is for {counted(len(basis), 'unit')}, but the model has {x.shape[-1]}")
    return units_of(x, basis).to(x.dtype)


def tap_widths(model: nn.Module, taps: Sequence[str]) -> dict[str, int]:
    """Return the number of units of each tap: {tap: number}. The model runs on a few tokens to find it.

    Raises:
        UserError: The output of a tap is not a tensor (batch, time, units), the tap does not run, or it runs more than
            once. The message names the tap.
    """
    return {tap: output.shape[-1] for tap, output in _short_pass(model, taps).items()}


def check_run_once(model: nn.Module, taps: Sequence[str]) -> None:
    """Refuse taps that run more than once in a forward pass.

    A forward pass that stops early cannot show this. The first check of a model and a tap runs the model on a few
    tokens. Later checks use the stored result.

    Raises:
        UserError: As `tap_widths`.
    """
    padding_reaches(model, taps)


def padding_reaches(model: nn.Module, taps: Sequence[str]) -> bool:
    """Return whether the padding after a text changes the activations of a tap at the tokens of the text.

    It does in models that mix all tokens in spite of the attention mask, such as FNet. Like `check_run_once`, this
    runs the model only the first time.

    Raises:
        UserError: As `tap_widths`.
    """
    if not _PADDING_REACHES.get(model, {}).keys() >= set(taps):
        _short_pass(model, taps)
    known = _PADDING_REACHES.get(model, {})
    return any(known.get(tap, False) for tap in taps)


_PADDING_REACHES: weakref.WeakKeyDictionary[nn.Module, dict[str, bool]] = weakref.WeakKeyDictionary()
"""The taps of each model that are known to run only once in a forward pass, and whether padding changes them."""

# Masked padding changes nothing in float32. In FNet, ConvBERT, Nystromformer and YOSO it changes 1e-4 or more.
_SAME = 1e-5


def _short_pass(model: nn.Module, taps: Sequence[str]) -> dict[str, Tensor]:
    """Run the model on two texts of three tokens, and return the output of each tap: {tap: (2, 3, units)}.

    One token would not show a module that runs once for each token. The last token is padding, and it is the only
    difference between the texts. The taps are remembered as taps that run once, and whether padding changes them; but
    not if the model has no weights (device meta).

    Raises:
        UserError: As `tap_widths`. Or the model cannot read these texts.
    """
    longest = architecture_of(model).context(getattr(model, "config", None))
    # Two different token ids: one of them may be the id of padding, whose embedding is 0 in many models.
    ids = (torch.arange(3 if longest is None else min(3, longest)) % 2).repeat(2, 1)
    mask = torch.ones_like(ids)
    n_own = max(1, ids.shape[1] - 1)
    ids[1, n_own:], mask[:, n_own:] = 1 - ids[0, n_own:], 0
    device = next(model.parameters()).device
    has_weights = device.type != "meta"  # without weights only shapes are known, and no mask can be read
    takes_mask = "attention_mask" in inspect.signature(model.forward).parameters  # FNet takes none
    options = {"attention_mask": mask.to(device)} if takes_mask and has_weights else {}
    try:
        with (
            torch.no_grad(),
            in_mode(model, training=False),
            record(model, taps) as activations,
            _streams(model, [tap for tap in taps if tap.endswith(RESIDUAL)]) as streams,
        ):
            model(ids.to(device), **options)
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # for example: the model cannot divide three tokens into chunks of two
        raise UserError(
            f"{type(model).__name__} cannot read {counted(len(ids), 'text')} of {counted(ids.shape[1], 'token')}: "
            f"{first_line(error)}"
        ) from None
    for tap in taps:
        if tap not in activations:
            raise UserError(
                f"the tap {tap} did not run when the model ran: choose a module that runs in every forward pass"
            )
    check_shapes(activations, ids.shape)
    for tap, tensors in streams.items() if has_weights else ():
        if not any(_alike(x, activations[tap]) for x in tensors):
            _, attention = _block_of(model, tap)
            sum_of_both = f"{type(model).__name__} does not add the output of {module_path(tap)} to the residual stream"
            where = " before the rest of the layer reads it" if attention else " as the last step of the layer"
            raise UserError(f"{sum_of_both}{where}, so {tap} is no tensor of this model: use {module_path(tap)}")
    known = _PADDING_REACHES.setdefault(model, {})
    for tap in taps if has_weights else ():
        one, other = activations[tap][:, :n_own].float()
        known[tap] = bool((one - other).abs().max() > _SAME * one.abs().max())
    return {tap: activations[tap] for tap in taps}


@contextmanager
def _streams(model: nn.Module, taps: Sequence[str]) -> Generator[dict[str, list[Tensor]], None, None]:
    """Give the tensors that can be the residual stream at a tap, while the model runs: {tap: tensors}.

    The stream after attention must be a tensor that another module of the block reads. The stream after the MLP must be
    the sum of the output of the MLP and a tensor that the block, or another module of it, read before.

    Args:
        model: The network.
        taps: Taps of the residual stream.
    """
    streams: dict[str, list[Tensor]] = {}
    handles = []
    for tap in taps:
        block, attention = _block_of(model, tap)
        module = model.get_submodule(module_path(tap))
        own = streams.setdefault(tap, [])

        def read(_module: nn.Module, args: Any, options: dict[str, Any], own: list[Tensor] = own) -> None:
            own.extend(x.detach().clone() for x in (*args, *options.values()) if isinstance(x, Tensor))

        def add(_module: nn.Module, _inputs: object, output: Any, own: list[Tensor] = own) -> None:
            y = activation_in(output)
            own[:] = [x.reshape(y.shape) + y for x in own if isinstance(y, Tensor) and x.numel() == y.numel()]

        inside = set(module.modules())
        readers = [m for m in block.modules() if m not in inside and not (attention and m is block)]
        handles += [m.register_forward_pre_hook(read, with_kwargs=True) for m in readers]
        if not attention:
            handles.append(module.register_forward_hook(add))
    try:
        yield streams
    finally:
        for handle in handles:
            handle.remove()


def _alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal but for rounding. One of them may have all tokens in one row (OPT)."""
    if one.numel() != other.numel():
        return False
    return bool((one.reshape(other.shape) - other).abs().max() <= _SAME * other.abs().max())


def check_shapes(activations: Mapping[str, Any], shape: torch.Size) -> None:
    """Refuse taps whose output does not have one place for each token that the model has read.

    Args:
        activations: {tap: output}.
        shape: Shape (batch, time) of the tokens.

    Raises:
        UserError: The output of a tap is not a tensor (batch, time, units). The message names the tap.
    """
    for tap, output in activations.items():
        if not isinstance(output, Tensor) or output.ndim != 3 or output.shape[:2] != shape:
            what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UserError(
                f"the output of the tap {tap} is {what} for {counted(shape[0], 'text')} of "
                f"{counted(shape[1], 'token')}: it must be a tensor of shape (batch, time, "
                "units); name other modules with taps=[...]"
            )


def shape_of_text(inputs: Sequence[Any], options: Mapping[str, Any]) -> torch.Size | None:
    """Return the shape (batch, time) of the token ids that a model gets, or of the vectors in their place.

    None: the model gets neither, for example only sound.
    """
    ids = options.get("input_ids", inputs[0] if inputs else None)
    if isinstance(ids, Tensor):
        return None if ids.ndim != 2 or ids.is_floating_point() else ids.shape
    vectors = options.get("inputs_embeds")
    return vectors.shape[:2] if isinstance(vectors, Tensor) else None


def output_weights(model: nn.Module, widths: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the input weights of the units of each tap: {tap: (inputs, units)}.

    These are the weights of the last linear layer inside the tap that has as many outputs as the tap has units.

    Args:
        model: The network.
        widths: Number of units of each tap.

    Raises:
        UserError: A tap contains no such linear layer, or it is a residual stream. The message names the tap.
    """
    weights = {}
    for tap, width in widths.items():
        if tap.endswith(RESIDUAL):
            raise UserError(
                f"the tap {tap} is a sum over many modules, so its units have no input weights: use "
                f"{module_path(tap)}, or an objective on responses, such as 'correlation'"
            )
        for module in model.get_submodule(module_path(tap)).modules():
            if isinstance(module, nn.Linear) and module.out_features == width:
                weights[tap] = module.weight.T
            elif isinstance(module, Conv1D) and module.weight.shape[1] == width:
                weights[tap] = module.weight
        if tap not in weights:
            raise UserError(
                f"the tap {tap} contains no linear layer with {width} outputs, so its units have no input weights"
            )
    return weights
