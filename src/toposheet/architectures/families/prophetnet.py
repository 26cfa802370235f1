"""ProphetNet. The first position has the number (padding token id + 1).

It also uses the position after the last token.
"""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, context_after_padding


def context(config: Any) -> int:
    """Return the largest number of tokens that a model can read."""
    return context_after_padding(config) - 1


FAMILY = Architecture(context=context)
