"""Falcon, which reads texts of any length where its positions are biases of attention (ALiBi), not turns."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, declared_context


def context(config: Any) -> int | None:
    """Return how many tokens a model reads, None where its positions are biases of attention."""
    return None if config.alibi else declared_context(config)


FAMILY = Architecture(context=context)
