"""DeBERTa. Its positions are relative.

The length of a text has a limit only if the model also adds embeddings of absolute positions to its input.
"""

from toposheet.architectures.architecture import Architecture, context_of_biased_input

FAMILY = Architecture(context=context_of_biased_input)
