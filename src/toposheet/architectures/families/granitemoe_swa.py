"""GraniteMoE with attention in windows. Its MLP module has the name `block_sparse_moe`."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(mlp=("block_sparse_moe",))
