"""TopoLM as published."""

from toposheet.recipes.parts import Bookkeeping, Model, Optimisation
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(
    name="paper",
    model=Model(layers=12, heads=16, width=784, context=1024, vocabulary=50304),
    optimisation=Optimisation(
        updates=600_000,
        batch=960,
        micro_batch=48,
        learning_rate=6e-4,
        final_learning_rate=6e-5,
        warmup_updates=2000,
        patience=3,
        precision="bf16",
        compile=True,
    ),
    bookkeeping=Bookkeeping(
        validation_fraction=0.0005,
        validation_blocks=960,
        validate_every=500,
        checkpoint_every=500,
        snapshot_every=500,
    ),
)
"""TopoLM as published (arXiv:2410.11516): 128.9 M parameters, 983,040 tokens an update.

The run ends when the task loss increased in three validations in a row, as published. The paper does not say how many
updates lie between two validations; this recipe takes 500.
"""
