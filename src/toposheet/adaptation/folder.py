"""The folder of an adaptation: which adaptation it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.files import refuse_other_files, write_file
from toposheet.model_folders import holds_model
from toposheet.recipes import RECIPE_FILE
from toposheet.text.shards import MANIFEST

PLAN = "adaptation.json"
"""File with the settings of an adaptation. A folder in which it is complete holds a finished or a stopped one."""


def claim_folder(out: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that holds another adaptation, or anything else. Otherwise write the plan to it.

    Args:
        out: The folder.
        plan: The settings of the adaptation. With equal settings, an adaptation goes on where it was stopped.

    Raises:
        UserError: The message names what differs.
    """
    path, plan = out / PLAN, json.loads(json.dumps(plan))  # with lists for tuples, as it is read
    if path.is_file():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            changes, model = differences(_flat(stored), _flat(plan)), stored["recipe"]["subject"]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise UserError(f"{path} is damaged: adapt into another folder, or remove this one") from None
        if model != plan["recipe"]["subject"]:
            raise UserError(
                f"{out} holds an adaptation of another subject (another model, or its sheets have other places): adapt "
                "into another folder, or remove this one"
            )
        if changes:
            raise UserError(
                f"{out} holds another adaptation ({'; '.join(changes)}): adapt into another folder, or remove this one"
            )
    elif (out / MANIFEST).is_file():
        raise UserError(f"{out} holds prepared text: adapt into another folder")
    elif holds_model(out) or (out / RECIPE_FILE).is_file():
        raise UserError(f"{out} holds a model or a run that is no adaptation (no {PLAN}): adapt into another folder")
    else:
        refuse_other_files(out, [other.name for other in out.iterdir()] if out.is_dir() else [])
        out.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(plan, indent=2) + "\n")


def _flat(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {where + name: value}
    return flat
