"""CTRL. Its attention module has the name `multi_head_attention`."""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(attention=("multi_head_attention",))
