"""Recipes: a recipe is frozen data that describes one training run. The known recipes come with toposheet."""

from typing import Any

from toposheet.recipes.adapting import ADAPTING
from toposheet.recipes.parts import Bookkeeping, Mechanism, Model, Objective, Optimisation, Sheets
from toposheet.recipes.reader import RECIPE_FILE, read_recipe, recipe_of, stored_form, write_recipe
from toposheet.recipes.recipe import Recipe
from toposheet.registry import Registry

__all__ = [
    "ADAPTING",
    "RECIPES",
    "RECIPE_FILE",
    "Bookkeeping",
    "Mechanism",
    "Model",
    "Objective",
    "Optimisation",
    "Recipe",
    "Sheets",
    "named",
    "read_recipe",
    "recipe_of",
    "stored_form",
    "write_recipe",
]

RECIPES = Registry[Recipe]("toposheet.recipes.known", "RECIPE", "recipe", entry=f"{__name__}:Recipe")


def named(name: str, /, **fields: Any) -> Recipe:
    """Return a known recipe, with new values for some of its fields.

    Args:
        name: The name of a recipe, for example `paper`. `RECIPES` lists the names.
        fields: New values. The names of the fields are the names of the options of `toposheet train`.

    Raises:
        UserError: There is no recipe or no field with this name, or a value is not allowed. For a wrong name, the
            message suggests the most similar name.

    Example:
        named("tiny", updates=40, alpha=0.5)
    """
    return RECIPES[name].changed(**fields)
