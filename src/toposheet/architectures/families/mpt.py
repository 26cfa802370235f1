"""MPT, whose MLP adds the residual stream itself, and whose configuration names a factor of logits that is not used."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(mlp=("ffn.down_proj",), logits=lambda config: None)
