"""MPNet. The first position has the number (padding token id + 1).

Its attention module adds the residual stream itself, so the tap is the module `attn` inside it.
"""

from toposheet.architectures.architecture import Architecture, context_after_padding

FAMILY = Architecture(attention=("attention.attn",), context=context_after_padding)
