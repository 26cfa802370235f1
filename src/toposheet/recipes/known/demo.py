"""The run of `toposheet demo`."""

from toposheet.recipes.parts import Bookkeeping, Objective
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(name="demo", objective=Objective(neighborhoods=3), bookkeeping=Bookkeeping(snapshot_every=200))
"""The run of `toposheet demo`: 4.2 M parameters, some minutes on two CPU cores.

The objective draws 3 windows of each sheet. They have 95 % as many cells as a sheet of 16x16; the 5 windows of TopoLM
have 52 % as many as its sheets of 28x28.
"""
