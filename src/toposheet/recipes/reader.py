"""Recipes as JSON, with the version of their format. Every version from 2 on is read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toposheet.errors import UserError
from toposheet.files import write_file
from toposheet.recipes.recipe import PARTS, Recipe

FORMAT = 2
RECIPE_FILE = "recipe.json"  # of a model folder


def stored_form(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as it is stored: the version of the format, then its fields, those of a part together."""
    return {"format": FORMAT, **dataclasses.asdict(recipe)}


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as JSON, whole or not at all."""
    write_file(path, json.dumps(stored_form(recipe), indent=2) + "\n")


def read_recipe(path: Path) -> Recipe:
    """Return the recipe that is stored at `path`.

    Raises:
        UserError: the file is no recipe, or one of a version that is not read; the message names the field.
    """
    try:
        stored = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} holds no recipe: {error}") from None
    return recipe_of(stored, path)


def recipe_of(stored: Any, where: Path) -> Recipe:
    """Return the recipe of a stored form.

    Args:
        stored: What `stored_form` returned, in this or an earlier version.
        where: The file that it is in, for messages.

    Raises:
        UserError: it is no recipe, or one of a version that is not read; the message names the field.
    """
    if not isinstance(stored, dict):
        raise UserError(f"{where} holds no recipe: it has no fields")
    version = stored.get("format", 1)
    if version not in _READERS:
        read = ", ".join(map(str, _READERS))
        raise UserError(f"{where} holds a recipe of format {version}, this version of toposheet reads {read}")
    try:
        return _READERS[version]({name: value for name, value in stored.items() if name != "format"})
    except (UserError, TypeError) as error:
        raise UserError(f"{where} holds no recipe of format {version}: {error}") from None


def _read_2(stored: dict[str, Any]) -> Recipe:
    parts = {part: kind(**_checked(kind, stored.get(part), f"{part}.")) for part, kind in PARTS.items()}
    return Recipe(**_checked(Recipe, stored, "") | parts)


def _checked(kind: Any, values: Any, where: str) -> dict[str, Any]:
    """Return the values of a dataclass, of which none is missing and none is too many; a list is a tuple."""
    names = {field.name for field in dataclasses.fields(kind)}
    given = set(values) if isinstance(values, dict) else set()
    if odd := sorted(given ^ names):
        raise UserError(f"it lacks or does not know {', '.join(where + name for name in odd)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


_READERS: dict[int, Callable[[dict[str, Any]], Recipe]] = {FORMAT: _read_2}
