"""The differences between families of `transformers` models. The defaults fit most decoder-only models.

This file and the files of the families must not import torch when they are loaded, because recipes load them to list
architectures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from toposheet.errors import UserError

if TYPE_CHECKING:
    from torch import nn

_LIMITS = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "max_target_positions",
)  # fmt: skip


ATTENTION, MLP = "attention", "MLP"  # the two kinds of taps


@runtime_checkable
class Sizes(Protocol):
    """The sizes of a model that a recipe builds, as in the part `model` of a recipe."""

    @property
    def layers(self) -> int:
        """Number of blocks."""
        ...

    @property
    def heads(self) -> int:
        """Number of attention heads in each block."""
        ...

    @property
    def width(self) -> int:
        """Number of units of the residual stream."""
        ...

    @property
    def mlp_width(self) -> int | None:
        """Number of units inside each MLP. None: four times the width."""
        ...

    @property
    def context(self) -> int:
        """Number of tokens in a block of text."""
        ...

    @property
    def vocabulary(self) -> int:
        """Number of different tokens."""
        ...


def text_config(config: Any) -> Any:
    """Return the text part of the configuration of a model with images or sound, or else the whole configuration."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def declared_context(config: Any) -> int | None:
    """Return the largest number of tokens that a model can read, as its configuration says. None: no limit is named."""
    limits = (getattr(text_config(config), name, None) for name in _LIMITS)
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)


def context_after_padding(config: Any) -> int:
    """Return the largest number of tokens for models whose first position has the number (padding token id + 1)."""
    config = text_config(config)
    return config.max_position_embeddings - config.pad_token_id - 1


def context_of_biased_input(config: Any) -> int | None:
    """Return the largest number of tokens for models whose positions are relative (DeBERTa).

    None, which means no limit, if the model does not also add a vector for each position to its input.
    """
    return declared_context(config) if config.position_biased_input else None


def no_limit(_config: Any) -> None:
    """Return None: the model reads texts of any length, even if its configuration names a length."""


def declared_logits(config: Any) -> Callable[[Any], Any] | None:
    """Return the function that a model applies to the output of its output layer. None: no function is applied.

    The configuration can name a factor (Cohere: `logit_scale`), a divisor (Granite: `logits_scaling`) and a soft cap c,
    which gives c * tanh(logits / c) (Gemma 2: `final_logit_softcapping`).
    """
    config = text_config(config)
    factor = getattr(config, "logit_scale", None) or 1.0
    divisor = getattr(config, "logits_scaling", None) or 1.0
    cap = getattr(config, "final_logit_softcapping", None)
    if factor == 1 and divisor == 1 and not cap:
        return None

    def logits(head_output: Any) -> Any:
        scaled = head_output * factor / divisor
        return (scaled / cap).tanh() * cap if cap else scaled

    return logits


def declared_plain(config: Any, context: int) -> bool:
    """Return whether a model has plain causal attention over a block of text, according to its configuration.

    In plain causal attention, each token attends to itself and to all tokens before it, and the scores are scaled
    products of queries and keys. Attention is not plain if the scores have a soft cap (Gemma 2). It is not plain either
    if the block is longer than the span to which a token attends (`sliding_window`, `attention_chunk_size`).

    Args:
        config: The configuration of the model.
        context: Number of tokens in a block of text.
    """
    config = text_config(config)
    if getattr(config, "attn_logit_softcapping", None):
        return False
    spans = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return all(span is None or span >= context for span in spans)


def _children(block: nn.Module) -> str:
    return ", ".join(name for name, _ in block.named_children())


def unchanged(_model: Any) -> None:
    """Leave a model as it is."""


def any_sizes(_sizes: Sizes) -> None:
    """Accept all sizes."""


@dataclass(frozen=True)
class Projections:
    """The two layers of an attention module that a mechanism constrains. Both are `Conv1D` layers of `transformers`.

    Args:
        queries: The layer that computes the queries. They are its first outputs, as many as the layer has inputs.
        output: The layer that computes the output of the module from the values of all heads.
    """

    queries: Any
    output: Any


@dataclass(frozen=True)
class Architecture:
    """What toposheet must know about a family of models. The defaults fit most decoder-only models.

    Args:
        attention: Possible names of the attention module inside a block, for example `self_attn`. The first name that
            exists is used. The block adds the output of this module to the residual stream. If the attention module
            adds the residual stream itself (BERT), this is the last layer before the sum, `attention.output.dense`.
        mlp: Possible names of the MLP module inside a block, in the same way. If the MLP is not a module (BART, BERT),
            this is its last linear layer, `fc2` or `output.dense`. Empty: blocks have no MLP (Mamba).
        flat: Names of the modules whose output can have the shape (tokens, units), with the tokens of all texts in one
            row. The output of other modules has the shape (batch, time, units).
        time_first: Whether the outputs of the modules inside the model have the shape (time, batch, units).
        context: A function of the configuration. It returns the largest number of tokens that the model can read, with
            special tokens, or None if there is no limit.
        logits: A function of the configuration. It returns the function that the model applies to the output of its
            output layer, or None if the model applies no function.
        plain: A function of the configuration and of the number of tokens in a block of text. It returns whether the
            model has plain causal attention over the block, see `declared_plain`.
        opened: A function of a model that was just read from a folder. It changes settings of the model with which
            toposheet would read wrong values (RWKV).
        build: A function of the sizes and of the id of the token between documents. It returns an untrained model. It
            must also work on the meta device of torch, where toposheet checks the sheets of a recipe.
            None: recipes cannot build models of this family.
        check: A function of the sizes. It raises a `UserError` if the family cannot have a model of these sizes.
        projections: A function of an attention module. It returns the layers that the mechanism `topoformer`
            constrains. None: the family cannot have this mechanism. Its queries are rotated or normed after their
            layer, or its layers are not of the class `Conv1D`.

    Example:
        ts.register("architecture", "mine", Architecture(attention=("mixer",), mlp=("channel_mixer",)))
    """

    attention: tuple[str, ...] = ("self_attn", "attn", "attention.output.dense", "attention", "self_attention")
    mlp: tuple[str, ...] = ("mlp", "feed_forward", "ffn", "fc2", "output.dense")
    flat: tuple[str, ...] = ()
    time_first: bool = False
    context: Callable[[Any], int | None] = declared_context
    logits: Callable[[Any], Callable[[Any], Any] | None] = declared_logits
    plain: Callable[[Any, int], bool] = declared_plain
    opened: Callable[[Any], None] = unchanged
    build: Callable[[Sizes, int], Any] | None = None
    check: Callable[[Sizes], None] = any_sizes
    projections: Callable[[Any], Projections] | None = None

    def taps(self, model: nn.Module) -> tuple[str, ...]:
        """Return the paths of the attention modules and of the MLP modules. `*` stands for the number of the layer.

        A warning in the log names the layers that have no attention or no MLP under a known name, and the decoder that
        is left out if a model has an encoder too.

        Raises:
            UserError: The model has no list of blocks, or its blocks have neither attention nor MLP under a known name.
        """
        path, blocks = self._layers(model)
        names_in_blocks = [{name for name, _ in block.named_modules()} for block in blocks]
        kinds = {ATTENTION: self.attention, MLP: self.mlp}
        chosen = {
            kind: next((name for name in names if any(name in inside for inside in names_in_blocks)), None)
            for kind, names in kinds.items()
        }
        if not any(chosen.values()):
            raise UserError(
                f"toposheet does not know which modules of {type(model).__name__} are attention and MLP: name them "
                f"with taps, e.g. {path}.*.NAME; NAME is one of: {_children(blocks[0])}"
            )
        log = logging.getLogger(__name__)
        for kind, name in chosen.items():
            if not kinds[kind]:
                continue
            if lacking := [number for number, inside in enumerate(names_in_blocks) if name not in inside]:
                log.warning(
                    "%d of %d layers of %s have no %s that toposheet knows, so they get no sheet for it: to choose all "
                    "modules yourself, use taps, e.g. %s.%d.NAME; NAME is one of: %s",
                    len(lacking), len(blocks), type(model).__name__, kind, path, lacking[0],
                    _children(blocks[lacking[0]]),
                )  # fmt: skip
        if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            log.warning("only the layers %s of %s get sheets: to choose others, use taps", path, type(model).__name__)
        return tuple(f"{path}.*.{name}" for name in chosen.values() if name is not None)

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Return the blocks of a model in order. A block is a layer with attention and MLP.

        Raises:
            UserError: The model has no list of blocks.
        """
        return self._layers(model)[1]

    def attentions(self, model: nn.Module) -> list[str]:
        """Return the path of the attention module of each block, in order. Blocks without attention are left out.

        Raises:
            UserError: The model has no list of blocks.
        """
        path, blocks = self._layers(model)
        inside = [{name for name, _ in block.named_modules()} for block in blocks]
        chosen = [next((name for name in self.attention if name in names), None) for names in inside]
        return [f"{path}.{number}.{name}" for number, name in enumerate(chosen) if name is not None]

    def following(self, model: nn.Module, path: str) -> nn.Module:
        """Return the module that reads the residual stream next, after the output of a module was added to it.

        After attention this is the MLP of the block, after the MLP it is the attention of the next block, and after the
        last MLP it is the output layer.

        Args:
            model: The model.
            path: The path of the attention or the MLP of a block.

        Raises:
            UserError: The module is neither attention nor MLP of a block. Or the next one is not a module: the blocks
                of BART and OPT, for example, compute their MLP themselves.
        """
        from torch import nn

        of_blocks, blocks = self._layers(model)
        readers, place = [], None
        for number, block in enumerate(blocks):
            names = {name for name, _ in block.named_modules()}
            for kind in (self.attention, self.mlp):
                if (name := next((name for name in kind if name in names), None)) is not None:
                    if f"{of_blocks}.{number}.{name}" == path:
                        place = len(readers)
                    readers.append(block.get_submodule(name))
        if place is None:
            raise UserError(f"toposheet does not know which module reads {path} next: it is no attention and no MLP")
        last = place + 1 == len(readers)
        reader = self.head(model) if last else readers[place + 1]
        # A tap that is a linear layer is the last layer of its module (BERT), so the tap after it is no reader either.
        if isinstance(readers[place], nn.Linear) or (isinstance(reader, nn.Linear) and not last):
            raise UserError(
                f"what reads {path} next is not one module of {type(model).__name__}: act on the output of the tap"
            )
        return reader

    def kind_of(self, tap: str) -> str:
        """Return the kind of a tap: `attention`, `MLP`, or empty if the tap is another module.

        Args:
            tap: The path of the module in a model of this family.
        """
        kinds = {ATTENTION: self.attention, MLP: self.mlp}
        inside = "." + tap.partition(">")[0]  # the name of a residual stream ends with >residual
        return next((kind for kind, names in kinds.items() if any(inside.endswith(f".{n}") for n in names)), "")

    def entrances(self, model: nn.Module) -> list[nn.Module]:
        """Return the modules whose call is a whole forward pass, from the outermost to the innermost.

        These are the model and all modules inside it that contain all blocks.
        """
        try:
            within = self._layers(model)[0].split(".")[:-1]
        except UserError:
            within = []
        return [model.get_submodule(".".join(within[:depth])) for depth in range(len(within) + 1)]

    def body(self, model: Any) -> nn.Module:
        """Return the module that turns token ids into the last hidden states: the model without its head."""
        body = model.base_model
        # Llama4ForCausalLM names a base model that it does not have, and `transformers` then returns the model itself.
        if body is model and model.get_output_embeddings() is not None:
            return next(iter(self.entrances(model)[1:]), model)
        return body

    def embeddings(self, model: Any) -> nn.Module:
        """Return the layer that turns token ids into vectors."""
        return model.get_input_embeddings()

    def vocabulary(self, model: Any) -> int:
        """Return the number of token ids that a model can read: the ids from 0 to this number - 1."""
        weight = getattr(self.embeddings(model), "weight", None)
        return text_config(model.config).vocab_size if weight is None else weight.shape[0]

    def head(self, model: Any) -> Any:
        """Return the linear layer that computes the logits.

        Raises:
            UserError: The model has no such layer.
        """
        head = model.get_output_embeddings()
        if head is None:
            raise UserError(f"{type(model).__name__} has no output layer: give a model with a language-model head")
        return head

    def flops_per_token(self, model: Any, context: int) -> float:
        """Return the number of floating-point operations for training on one token (forward and backward pass).

        The number is 6 N + 12 L T D (arXiv:2204.02311, appendix B). N is the number of parameters that take part in
        multiplications. The parameters of an embedding are looked up and not multiplied, so they count only if the
        output layer uses them too. L is the number of layers, T the context and D the width. The operations of the
        spatial objective are not counted.

        Args:
            model: The model. It can be on the meta device.
            context: Number of tokens in a block of text.
        """
        from torch import nn

        head = self.head(model).weight
        tables = (module.weight for module in model.modules() if isinstance(module, nn.Embedding))
        looked_up = sum(table.numel() for table in tables if table is not head)
        n_multiplied = sum(parameter.numel() for parameter in model.parameters()) - looked_up
        return 6.0 * n_multiplied + 12.0 * len(self.blocks(model)) * context * self.width(model)

    def width(self, model: Any) -> int:
        """Return the number of units of the residual stream."""
        return text_config(model.config).hidden_size

    def heads(self, model: Any) -> int:
        """Return the number of attention heads, or 1 if the configuration names no number."""
        return getattr(text_config(model.config), "num_attention_heads", None) or 1

    def _layers(self, model: nn.Module) -> tuple[str, list[nn.Module]]:
        """Return the path of the list of blocks, and the blocks.

        It is the first module list whose length is the number of layers in the configuration. If no module list has
        this length, it is the first module list.
        """
        from torch import nn

        lists = [(path, list(module)) for path, module in model.named_modules() if isinstance(module, nn.ModuleList)]
        if not lists:
            raise UserError(
                f"{type(model).__name__} has no list of layers (torch.nn.ModuleList): name its taps with taps=[...]"
            )
        n_layers = getattr(text_config(getattr(model, "config", None)), "num_hidden_layers", None)
        return next((entry for entry in lists if len(entry[1]) == n_layers), lists[0])
