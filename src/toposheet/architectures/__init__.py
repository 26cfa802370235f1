"""What toposheet must know about the families of `transformers` models."""

from typing import Any

from toposheet.architectures.architecture import Architecture, Projections, Sizes
from toposheet.registry import Registry

__all__ = ["DEFAULT", "FAMILIES", "Architecture", "Projections", "Sizes", "architecture_of", "family_named"]

FAMILIES = Registry[Architecture](
    "toposheet.architectures.families", "FAMILY", "architecture", entry=f"{__name__}:Architecture"
)
"""The families that differ from the default. Their names are the `model_type` of the configuration of a model."""

DEFAULT = Architecture()
"""The architecture of most decoder-only models: Llama, Mistral, Gemma, GPT-NeoX, Phi, OLMo and others."""


def architecture_of(model: Any) -> Architecture:
    """Return the architecture of a model: the entry of its family, or the default if its family has no entry.

    The family is the `model_type` of the configuration of the model.

    Args:
        model: A `transformers` model. For any other module, the default is returned.
    """
    name = getattr(getattr(model, "config", None), "model_type", None)
    return family_named(name) if isinstance(name, str) else DEFAULT


def family_named(name: str) -> Architecture:
    """Return the entry of a family, or the default if it has no entry.

    Args:
        name: The `model_type` of the configuration of its models.
    """
    if (file := name.replace("-", "_")) in FAMILIES:
        return FAMILIES[file]
    return DEFAULT
