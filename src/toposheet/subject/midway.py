"""Forward passes that begin in the middle of a model. What an intervention does not change is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.architectures import architecture_of
from toposheet.subject.interventions import Intervention, applied, uncompiled
from toposheet.topography import Topography
from toposheet.topography.taps import Point, module_path


class Midway:
    """Runs a model on one batch with several interventions, and computes the blocks below each of them only once.

    Every call gives, to the bit, what the whole model gives with these interventions.

    Args:
        model: The model. It must be in evaluation mode, and run without a key-value cache.
        topography: Its topography.
        present: The interventions that always act.

    Example:
        midway = Midway(model, topography)
        with midway.batch(lambda: model(input_ids=ids, use_cache=False).logits) as (logits, again):
            changed = [again([intervention]) for intervention in interventions]
    """

    def __init__(self, model: PreTrainedModel, topography: Topography, present: Sequence[Intervention] = ()) -> None:
        self._model, self._topography, self._present = model, topography, tuple(present)
        self._blocks = architecture_of(model).blocks(model)
        self._numbers = {module: n for n, block in enumerate(self._blocks) for module in block.modules()}

    @contextmanager
    def batch(
        self, run: Callable[[], Tensor]
    ) -> Generator[tuple[Tensor, Callable[[Sequence[Intervention]], Tensor]], None, None]:
        """Give what the model computes for one batch, and a function that computes it with further interventions.

        Args:
            run: A function that runs the model on the batch.
        """
        outputs: list[list[Any]] = [[] for _ in self._blocks]
        with uncompiled(self._model), applied(self._model, self._topography, self._present), ExitStack() as hooks:
            # These hooks come after those of the interventions, which can change the output of a block (>residual).
            for block, kept in zip(self._blocks, outputs, strict=True):
                keep = block.register_forward_hook(lambda _m, _i, output, kept=kept: kept.append(_copied(output)))
                hooks.callback(keep.remove)
            result = run()
        once = all(len(kept) == 1 for kept in outputs)  # in ALBERT, one block runs for all layers

        def again(interventions: Sequence[Intervention]) -> Tensor:
            first = min((self._first_block(i) for i in interventions), default=len(self._blocks)) if once else 0
            acting = [_from_block(i, first, self._block_of) for i in (*self._present, *interventions)]
            with (
                uncompiled(self._model),
                applied(self._model, self._topography, [i for i in acting if i.effects]),
                _known([kept[0] for kept in outputs[:first]], self._blocks),
            ):
                return run()

        yield result, again

    def _first_block(self, intervention: Intervention) -> int:
        """Return the number of the first block that an intervention changes."""
        return min(self._block_of(tap, effect.point) for tap, effect in intervention.effects.items())

    def _block_of(self, tap: str, point: Point) -> int:
        """Return the number of the block in which an effect acts; the number of blocks, if it acts after all blocks."""
        module: nn.Module = self._model.get_submodule(module_path(tap))
        if point == "input":
            module = architecture_of(self._model).following(self._model, module_path(tap))
        after_all = module is self._model.get_output_embeddings()
        return self._numbers.get(module, len(self._blocks) if after_all else 0)


def _from_block(intervention: Intervention, first: int, block_of: Callable[[str, Point], int]) -> Intervention:
    """Return the part of an intervention that acts in a block and later."""
    kept = {tap: e for tap, e in intervention.effects.items() if block_of(tap, e.point) >= first}
    return Intervention(intervention.name, kept)


def _copied(output: Any) -> Any:
    """Return a copy of the output of a block. Some models change it in place."""
    if isinstance(output, Tensor):
        return output.clone()
    if isinstance(output, tuple | list):
        return type(output)(map(_copied, output))
    return output


@contextmanager
def _known(outputs: Sequence[Any], blocks: Sequence[nn.Module]) -> Generator[None, None, None]:
    """Let the first blocks of a model return what they returned before, inside this context."""
    own = [vars(block).get("forward") for block in blocks[: len(outputs)]]
    try:
        for block, output in zip(blocks, outputs, strict=False):
            block.forward = lambda *_inputs, _output=output, **_options: _copied(_output)
        yield
    finally:
        for block, forward in zip(blocks, own, strict=False):
            if forward is None:
                del block.forward
            else:
                block.forward = forward
