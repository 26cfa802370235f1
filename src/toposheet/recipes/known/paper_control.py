"""The control of TopoLM as published."""

from toposheet.recipes.known.paper import RECIPE as PAPER

RECIPE = PAPER.control()
"""The published control: `paper` with strength 0, all else equal."""
