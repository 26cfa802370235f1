"""Longformer, whose positions begin after the number of the padding token."""

from toposheet.architectures.architecture import Architecture, context_after_padding

FAMILY = Architecture(context=context_after_padding)
