"""RWKV, a recurrent model. It reads texts of any length.

Its configuration names the length of the texts in training, which is not a limit.
"""

from toposheet.architectures.architecture import Architecture, no_limit

FAMILY = Architecture(context=no_limit)
