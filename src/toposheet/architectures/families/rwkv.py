"""RWKV, a recurrent model: the length that its configuration names is that of its training."""

from toposheet.architectures.architecture import Architecture, no_limit

FAMILY = Architecture(context=no_limit)
