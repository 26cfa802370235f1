"""OPT, whose MLP is no module of its own: its second layer puts out the tokens of all texts in one row."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(mlp=("fc2",), flat=("fc2",))
