"""Bloom, whose attention and MLP add the residual stream themselves: their last layers are before that."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(attention=("self_attention.dense",), mlp=("mlp.dense_4h_to_h",))
