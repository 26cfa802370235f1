"""ESM. The first absolute position has the number (padding token id + 1). Rotary positions have no limit."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, context_after_padding


def context(config: Any) -> int | None:
    """Return the largest number of tokens that a model can read. None: no limit, if positions are rotary."""
    return context_after_padding(config) if config.position_embedding_type == "absolute" else None


FAMILY = Architecture(context=context)
