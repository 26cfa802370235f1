"""What toposheet must know of a family of `transformers` models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A family of models."""

    def context(self, config: Any) -> int | None:
        """Return how many tokens a model can read, None where that is not bounded."""
        return getattr(config, "max_position_embeddings", None)

    def taps(self, model: nn.Module) -> tuple[str, ...]:
        """Return the module paths, `*` standing for one step, of attention and MLP of every layer."""
        return ("transformer.h.*.attn", "transformer.h.*.mlp")


def architecture_of(model: nn.Module) -> Architecture:
    """Return the family of a model."""
    return Architecture()
