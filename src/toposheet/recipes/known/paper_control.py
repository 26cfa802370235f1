"""The control of TopoLM as published."""

from toposheet.recipes.known.paper import RECIPE as PAPER

RECIPE = PAPER.control()
"""The published control: `paper` with alpha 0. All other fields except the name are equal."""
