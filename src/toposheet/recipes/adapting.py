"""What an adaptation can choose, and its recipe: how a subject that has a trained model is trained further."""

from typing import Literal

from toposheet.recipes.parts import Bookkeeping, Model, Objective, Optimisation
from toposheet.recipes.recipe import Recipe

Mode = Literal["place", "rebase", "lora", "full"]
Method = Literal["assignment", "spectral", "swaps", "random", "shared"]
Start = Literal["placed", "rebased"]
Share = Literal["tap", "width"]
Null = Literal["random-weights", "shuffled-distances"]

ADAPTING = Recipe(
    name="adapt",
    model=Model(context=128),
    objective=Objective(alpha=0.5, alpha_warmup_updates=20, skip_first=True),
    optimisation=Optimisation(
        updates=400,
        batch=4,
        learning_rate=5e-4,
        final_learning_rate=1e-5,
        warmup_updates=20,
        decay="linear",
        decay_updates=200,
        weight_decay=0.0,
        distillation=1.0,
    ),
    bookkeeping=Bookkeeping(validation_blocks=64, validate_every=100, checkpoint_every=50),
)
"""The defaults of `adapt`. Its model and sheets are replaced by those of the subject, except for `model.context`."""
