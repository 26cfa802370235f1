"""OPT. It has no MLP module, so the tap is the second linear layer of the MLP, `fc2`.

The output of `fc2` has the shape (tokens, units), with the tokens of all texts in one row.
"""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(mlp=("fc2",), flat=("fc2",))
