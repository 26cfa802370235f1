"""The run of the shipped models."""

from toposheet.recipes.parts import Bookkeeping, Model, Optimisation
from toposheet.recipes.recipe import Recipe

RECIPE = Recipe(
    name="small",
    model=Model(architecture="qwen3", layers=5, heads=4, width=256, mlp_width=688, context=128, vocabulary=4096),
    optimisation=Optimisation(
        updates=10_000,
        batch=16,
        learning_rate=4e-3,
        final_learning_rate=0.0,
        muon_learning_rate=2.5e-3,
        warmup_updates=200,
        decay="linear",
        decay_updates=4000,
        precision="bf16",
    ),
    bookkeeping=Bookkeeping(
        validation_fraction=0.02,
        validation_blocks=512,
        validate_every=500,
        checkpoint_every=500,
        snapshot_every=500,
    ),
)
"""The run of the shipped models `small` and `small-control`: 5.0 M parameters, built and trained like `fast`."""
