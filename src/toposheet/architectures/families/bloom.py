"""Bloom. Its attention and MLP modules add the residual stream themselves, so the taps are their last linear layers."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(attention=("self_attention.dense",), mlp=("mlp.dense_4h_to_h",))
