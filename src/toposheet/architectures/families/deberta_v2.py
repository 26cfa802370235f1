"""DeBERTa-v2 and DeBERTa-v3. Its positions are relative. It has a limit only if it also adds positions to its input."""

from toposheet.architectures.architecture import Architecture, context_of_biased_input

FAMILY = Architecture(context=context_of_biased_input)
