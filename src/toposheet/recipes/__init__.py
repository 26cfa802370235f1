"""Recipes: every run we know, as frozen data."""

from typing import Any

from toposheet.recipes.parts import Bookkeeping, Model, Objective, Optimisation, Sheets
from toposheet.recipes.reader import RECIPE_FILE, read_recipe, recipe_of, stored_form, write_recipe
from toposheet.recipes.recipe import Recipe
from toposheet.registry import Registry

__all__ = [
    "RECIPES",
    "RECIPE_FILE",
    "Bookkeeping",
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

RECIPES = Registry[Recipe]("toposheet.recipes.known", "RECIPE", "recipe")


def named(name: str, /, **fields: Any) -> Recipe:
    """Return the recipe called `name`, with some fields changed.

    Args:
        name: One of `RECIPES`.
        fields: New values by the names of the options of `toposheet train`.

    Raises:
        UserError: there is no such recipe or field; the message names the nearest.

    Example:
        named("tiny", updates=40, alpha=0.5)
    """
    return RECIPES[name].changed(**fields)
