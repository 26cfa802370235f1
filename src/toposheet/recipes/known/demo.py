"""The run of `toposheet demo`."""

from toposheet.recipes.parts import Bookkeeping, Objective
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(name="demo", objective=Objective(max_samples=256), bookkeeping=Bookkeeping(snapshot_every=200))
"""The run of `toposheet demo`: 4.2 M parameters, some minutes on two CPU cores.

The objective uses 256 tokens of a batch, which is half of them. Its cost is then about a tenth of an update.
"""
