"""Read and write recipes as JSON. The file holds the version of its format; every version from 2 on can be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toposheet.errors import UserError
from toposheet.files import write_file
from toposheet.recipes.recipe import PARTS, Recipe

FORMAT = 4
RECIPE_FILE = "recipe.json"  # in a model folder


def stored_form(recipe: Recipe) -> dict[str, Any]:
    """Return the dict that is stored as JSON: the format version and the fields, with one dict for each part."""
    return {"format": FORMAT, **dataclasses.asdict(recipe)}


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as JSON. If writing fails, an earlier file stays as it was."""
    write_file(path, json.dumps(stored_form(recipe), indent=2) + "\n")


def read_recipe(path: Path) -> Recipe:
    """Return the recipe that is stored in a file.

    Raises:
        UserError: The file holds no recipe, or a recipe with a format that this version of toposheet cannot read. If a
            field is wrong, the message names the field.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} does not hold a recipe: {error}") from None
    return recipe_of(stored, path)


def recipe_of(stored: Any, where: Path) -> Recipe:
    """Return the recipe that a stored dict describes.

    Args:
        stored: A dict that `stored_form` returned, in this version of toposheet or in an earlier version.
        where: The file that holds the dict. Error messages name it.

    Raises:
        UserError: The dict is not a recipe, or its format cannot be read by this version of toposheet. If a field is
            wrong, the message names the field.
    """
    if not isinstance(stored, dict):
        raise UserError(f"{where} does not hold a recipe: it is not a JSON object with fields")
    version = stored.get("format", 1)
    if version not in _READERS:
        read = ", ".join(map(str, _READERS))
        remedy = (
            "start the run again in another folder"
            if isinstance(version, int) and version < FORMAT
            else "install the version of toposheet that wrote it"
        )
        raise UserError(
            f"{where} holds a recipe of format {version!r}, but this version of toposheet reads {read}: {remedy}"
        )
    try:
        return _READERS[version]({name: value for name, value in stored.items() if name != "format"})
    except (UserError, TypeError) as error:
        raise UserError(f"{where} does not hold a recipe of format {version}: {error}") from None


_NEW_IN_3: dict[str, dict[str, Any]] = {
    "objective": {"skip_first": False},
    "optimisation": {"distillation": 0.0, "lora_rank": None, "lora_alpha": None, "lora_layers": None},
}
"""The fields that recipes of format 2 lack, with the values that describe their runs."""


def _read_2(stored: dict[str, Any]) -> Recipe:
    return _read_3(_with_new_fields(stored, _NEW_IN_3))


_NEW_IN_4: dict[str, dict[str, Any]] = {
    "sheets": {"layout": "per_tap"},
    "mechanism": {"name": None, "mechanism_radius": None},
}
"""The fields that recipes of format 3 lack, with the values that describe their runs."""


def _read_3(stored: dict[str, Any]) -> Recipe:
    return _read_4(_with_new_fields(stored, _NEW_IN_4))


def _with_new_fields(stored: dict[str, Any], new: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a stored recipe with new fields in its parts, and with new parts."""
    parts = {part: stored.get(part, {}) for part in new}
    return stored | {part: parts[part] | new[part] for part in new if isinstance(parts[part], dict)}


def _read_4(stored: dict[str, Any]) -> Recipe:
    parts = {part: kind(**_field_values(kind, stored.get(part), f"{part}.")) for part, kind in PARTS.items()}
    return Recipe(**_field_values(Recipe, stored, "") | parts)


def _field_values(kind: Any, values: Any, where: str) -> dict[str, Any]:
    """Return the values for the fields of a dataclass. A list becomes a tuple.

    Args:
        kind: The dataclass.
        values: The stored values by field name.
        where: The name of the part with a dot, for messages. Empty for the recipe itself.

    Raises:
        UserError: A field of the dataclass has no value, or a value belongs to no field. The message names them.
    """
    names = {field.name for field in dataclasses.fields(kind)}
    given = set(values) if isinstance(values, dict) else set()
    if odd := sorted(given ^ names):
        raise UserError(f"these fields are missing or unknown: {', '.join(where + name for name in odd)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


_READERS: dict[int, Callable[[dict[str, Any]], Recipe]] = {2: _read_2, 3: _read_3, 4: _read_4}
