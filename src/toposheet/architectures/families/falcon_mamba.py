"""Falcon Mamba, a recurrent model. A layer has one module, `mixer`, in place of attention and MLP."""

from toposheet.architectures.architecture import Architecture, no_limit

FAMILY = Architecture(attention=("mixer",), mlp=(), context=no_limit)
