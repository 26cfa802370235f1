"""A run of some seconds."""

from toposheet.recipes.parts import Bookkeeping, Model, Objective, Optimisation
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(
    name="tiny",
    model=Model(layers=2, heads=2, width=36, context=96, vocabulary=1024),
    objective=Objective(radius=2),
    optimisation=Optimisation(updates=20, batch=4, warmup_updates=5),
    bookkeeping=Bookkeeping(validation_blocks=8, validate_every=10, checkpoint_every=10, snapshot_every=10),
)
"""A run of some seconds, for tests and first tries. Its model is too small and too short trained to show topography."""
