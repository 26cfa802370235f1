"""Llama 4.

The output of an MLP with experts has the shape (tokens, units), with the tokens of all texts in one row.
"""

from toposheet.architectures.architecture import Architecture

FAMILY = Architecture(flat=("feed_forward",))
