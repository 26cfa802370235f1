"""What toposheet must know of a family of `transformers` models."""

from typing import Any

from toposheet.architectures.architecture import Architecture, Sizes
from toposheet.registry import Registry

__all__ = ["DEFAULT", "FAMILIES", "Architecture", "Sizes", "architecture_of"]

FAMILIES = Registry[Architecture](
    "toposheet.architectures.families", "FAMILY", "architecture", entry=f"{__name__}:Architecture"
)
"""The families that differ from the default, by the `model_type` of their configuration."""

DEFAULT = Architecture()
"""What fits most decoder-only models: Llama, Mistral, Gemma, GPT-NeoX, Phi, OLMo and others."""


def architecture_of(model: Any) -> Architecture:
    """Return what must be known of the family of a model: by the `model_type` of its configuration, else the default.

    Args:
        model: A `transformers` model. Other modules have the default.
    """
    name = getattr(getattr(model, "config", None), "model_type", None)
    if isinstance(name, str) and (file := name.replace("-", "_")) in FAMILIES:
        return FAMILIES[file]
    return DEFAULT
