"""What differs between families of `transformers` models, with the defaults that fit most decoder-only ones.

Nothing heavy is imported here or in the files of families: recipes ask for the names of architectures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from toposheet.errors import UserError

if TYPE_CHECKING:
    from torch import nn

_LIMITS = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "max_target_positions",
)  # fmt: skip


@runtime_checkable
class Sizes(Protocol):
    """The sizes of a model that a recipe builds: the part `model` of a recipe has them."""

    @property
    def layers(self) -> int:
        """How many blocks."""
        ...

    @property
    def heads(self) -> int:
        """Of the attention of each block."""
        ...

    @property
    def width(self) -> int:
        """Units of the residual stream."""
        ...

    @property
    def mlp_width(self) -> int | None:
        """Units inside each MLP; None for four times the width."""
        ...

    @property
    def context(self) -> int:
        """Tokens of a block of text."""
        ...

    @property
    def vocabulary(self) -> int:
        """Tokens there are."""
        ...


def text_config(config: Any) -> Any:
    """Return the part of a configuration that is about text: of a model that also sees or hears, that of its text."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def declared_context(config: Any) -> int | None:
    """Return how many tokens a configuration says that a model reads, None where it names no limit."""
    limits = (getattr(text_config(config), name, None) for name in _LIMITS)
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)


def context_after_padding(config: Any) -> int:
    """Return how many tokens a model reads whose positions begin after the number of its padding token (RoBERTa)."""
    return config.max_position_embeddings - config.pad_token_id - 1


def no_limit(_config: Any) -> None:
    """Return that texts of any length are read, whatever length the configuration names."""


def declared_logits(config: Any) -> Callable[[Any], Any] | None:
    """Return what a model makes of the logits of its output layer, None where it leaves them as they are.

    A configuration may name a factor (Cohere: `logit_scale`), a divisor (Granite: `logits_scaling`) and a soft cap,
    c * tanh(logits / c) (Gemma 2: `final_logit_softcapping`).
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
    """Return whether attention over a block of text is plainly causal, as far as a configuration says.

    It is not where the attention scores have a soft cap (Gemma 2), or where a token sees only so many tokens before it
    (`sliding_window`, `attention_chunk_size`) and the block is longer.
    """
    config = text_config(config)
    if getattr(config, "attn_logit_softcapping", None):
        return False
    spans = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return all(span is None or span >= context for span in spans)


def any_sizes(_sizes: Sizes) -> None:
    """Refuse nothing."""


@dataclass(frozen=True)
class Architecture:
    """What must be known of a family of models. Its defaults fit most decoder-only ones.

    Args:
        attention: What the attention of a block may be called, inside the block; the first that is there counts. Its
            output is what is added to the residual stream.
        mlp: The same of the MLP.
        flat: Which of these put out the tokens of all texts in one row, (tokens, units), instead of
            (batch, time, units).
        time_first: Whether the modules inside put out (time, batch, units).
        context: Given a configuration, how many tokens a model can read, special tokens counted; None where that is not
            bounded.
        logits: Given a configuration, what is made of the logits of the output layer, None for nothing.
        plain: Given a configuration and the length of a block of text, whether attention over the block is plainly
            causal: scaled products of queries and keys, each token seeing all before it.
        build: Return the untrained model of some sizes, given the id of the token that ends a document. None: no recipe
            builds this family.
        check: Refuse sizes that the family cannot have, with a `UserError`.

    Example:
        ts.register("architecture", "mine", Architecture(attention=("mixer",), mlp=("channel_mixer",)))
    """

    attention: tuple[str, ...] = ("self_attn", "attn", "attention", "self_attention")
    mlp: tuple[str, ...] = ("mlp", "feed_forward", "ffn")
    flat: tuple[str, ...] = ()
    time_first: bool = False
    context: Callable[[Any], int | None] = declared_context
    logits: Callable[[Any], Callable[[Any], Any] | None] = declared_logits
    plain: Callable[[Any, int], bool] = declared_plain
    build: Callable[[Sizes, int], Any] | None = None
    check: Callable[[Sizes], None] = any_sizes

    def taps(self, model: nn.Module) -> tuple[str, ...]:
        """Return the module paths, `*` standing for one step, of attention and MLP of every layer.

        Raises:
            UserError: the blocks have neither by a name that is known.
        """
        path, blocks = self._layers(model)
        module_names = {name for block in blocks for name, _ in block.named_modules()}
        names_in_blocks = [
            next((name for name in names if name in module_names), None) for names in (self.attention, self.mlp)
        ]
        if names_in_blocks == [None, None]:
            children = ", ".join(name for name, _ in blocks[0].named_children())
            raise UserError(
                f"which modules of {type(model).__name__} are attention and MLP is not known: name them with taps, "
                f"e.g. {path}.*.NAME; NAME is one of: {children}"
            )
        return tuple(f"{path}.*.{name}" for name in names_in_blocks if name is not None)

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Return the blocks of a model, in order: its layers, each with attention and MLP.

        Raises:
            UserError: it has none.
        """
        return self._layers(model)[1]

    def entrances(self, model: nn.Module) -> list[nn.Module]:
        """Return the modules whose call is a whole forward pass, outermost first: the model and all in it that hold all
        blocks.
        """
        try:
            within = self._layers(model)[0].split(".")[:-1]
        except UserError:
            within = []
        return [model.get_submodule(".".join(within[:depth])) for depth in range(len(within) + 1)]

    def embeddings(self, model: Any) -> nn.Module:
        """Return the layer that turns token ids into vectors."""
        return model.get_input_embeddings()

    def vocabulary(self, model: Any) -> int:
        """Return how many tokens a model can read: ids from 0 to one less."""
        weight = getattr(self.embeddings(model), "weight", None)
        return text_config(model.config).vocab_size if weight is None else weight.shape[0]

    def head(self, model: Any) -> Any:
        """Return the linear layer that puts out logits.

        Raises:
            UserError: there is none.
        """
        head = model.get_output_embeddings()
        if head is None:
            raise UserError(f"{type(model).__name__} has no output layer: it is no language model")
        return head

    def flops_per_token(self, model: Any, context: int) -> float:
        """Return the floating-point operations that training on one token takes, forward and backward.

        6 N + 12 L T D, with N the parameters that are multiplied with (embeddings are looked up, and count where they
        are the output layer too), L layers, T the context and D the width (arXiv:2204.02311, appendix B). The objective
        is not part of it.

        Args:
            model: May be on the meta device.
            context: Tokens of a block of text.
        """
        from torch import nn

        head = self.head(model).weight
        tables = (module.weight for module in model.modules() if isinstance(module, nn.Embedding))
        looked_up = sum(table.numel() for table in tables if table is not head)
        n_multiplied = sum(parameter.numel() for parameter in model.parameters()) - looked_up
        return 6.0 * n_multiplied + 12.0 * len(self.blocks(model)) * context * self.width(model)

    def width(self, model: Any) -> int:
        """Return how many units the residual stream has."""
        return text_config(model.config).hidden_size

    def heads(self, model: Any) -> int:
        """Return how many heads attention has; 1 where the configuration names none."""
        return getattr(text_config(model.config), "num_attention_heads", None) or 1

    def _layers(self, model: nn.Module) -> tuple[str, list[nn.Module]]:
        """Return path and modules of the list of blocks: the first list as long as there are layers, else the first."""
        from torch import nn

        lists = [(path, list(module)) for path, module in model.named_modules() if isinstance(module, nn.ModuleList)]
        if not lists:
            raise UserError(f"{type(model).__name__} has no list of layers: name its taps")
        n_layers = getattr(getattr(model, "config", None), "num_hidden_layers", None)
        return next((entry for entry in lists if len(entry[1]) == n_layers), lists[0])
