"""BridgeTower. It numbers positions from the id of the padding token + 1."""

from toposheet.architectures.architecture import Architecture, context_after_padding

FAMILY = Architecture(context=context_after_padding)
