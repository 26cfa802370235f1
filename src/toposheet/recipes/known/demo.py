"""The run of `toposheet demo`."""

from toposheet.recipes.parts import Bookkeeping, Objective
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(name="demo", objective=Objective(max_samples=256), bookkeeping=Bookkeeping(snapshot_every=200))
"""The run of `toposheet demo`: 4.2 M parameters, minutes on two CPU cores.

The objective correlates half of the tokens of a batch, 256, which keeps its cost below a tenth of the step.
"""
