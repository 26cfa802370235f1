"""MPT. Its MLP module adds the residual stream itself, so the tap is the last linear layer of the MLP.

Its configuration names a scale of the logits, but the model does not use this scale.
"""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(mlp=("ffn.down_proj",), logits=lambda config: None)
