"""data2vec for text. The first position has the number (padding token id + 1)."""

from toposheet.architectures.architecture import Architecture, context_after_padding

FAMILY = Architecture(context=context_after_padding)
