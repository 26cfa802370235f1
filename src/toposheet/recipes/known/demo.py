"""The run of `toposheet demo`."""

from toposheet.recipes.parts import Bookkeeping
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(name="demo", bookkeeping=Bookkeeping(snapshot_every=200))
"""The run of `toposheet demo`: 4.2 M parameters, some minutes on two CPU cores."""
