"""Falcon. If it encodes positions as biases of attention (ALiBi), it reads texts of any length."""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, declared_context


def context(config: Any) -> int | None:
    """Return the largest number of tokens that a model can read. None, which means no limit, if it uses ALiBi."""
    return None if config.alibi else declared_context(config)


FAMILY = Architecture(context=context)
