"""The folder of a fine-tuning: a model folder with the plan of the fine-tuning, its classifier, and its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from toposheet.errors import NotFound, UserError, first_line
from toposheet.fields import differences
from toposheet.files import folder_aside, refuse_other_files, write_file
from toposheet.finetuning.scores import SCORES, predictions_table
from toposheet.results import Table

PLAN = "finetuning.json"
"""File with the settings of a fine-tuning. It is written when the fine-tuning begins."""

CLASSIFIER = "classifier.safetensors"
"""File with the weights of the classifier. It is written last, so a folder that holds it holds a finished one."""

FINETUNINGS = Table(
    "finetunings.csv",
    {"model": "text", "task": "text", "alpha": "number", "n_train": "count", "n_shortened": "count",
     "updates": "count", "kept_update": "count", "stopped_early": "flag", "task_loss_before": "number",
     "task_loss": "number", "spatial_loss_before": "number", "spatial_loss": "number"},
    "a fine-tuning, and its losses on validation examples",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a fine-tuning: predictions, scores and losses."""

    items: pd.DataFrame
    scores: pd.DataFrame
    finetunings: pd.DataFrame


def claim_folder(out: Path, plan: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another fine-tuning, or anything else. Otherwise write the plan to it.

    Args:
        out: The folder.
        plan: The settings of the fine-tuning. With equal settings, it goes on where it was stopped. The place of the
            examples (`path`) may change.

    Raises:
        UserError: The message names what differs.
    """
    path, asked = out / PLAN, json.loads(json.dumps(dict(plan)))  # with lists for tuples, as it is read
    if path.is_file():
        stored = read_plan(out)
        there, here = _flat(stored), _flat(asked)
        if there["recipe.subject"] != here["recipe.subject"]:
            raise UserError(f"{out} holds the fine-tuning of another subject: fine-tune into another folder")
        if there["examples"] != here["examples"] and there["task"] == here["task"]:
            raise UserError(f"{out} holds a fine-tuning on other examples: fine-tune into another folder")
        if changes := differences(there, here):
            raise UserError(
                f"{out} holds another fine-tuning ({'; '.join(changes)}): fine-tune into another folder, or remove "
                "this one"
            )
        return
    refuse_other_files(out, [other.name for other in out.iterdir()] if out.is_dir() else [])
    out.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(asked, indent=2) + "\n")


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the settings of the fine-tuning in a folder.

    Raises:
        NotFound: The folder holds no fine-tuning.
        UserError: The file is damaged.
    """
    path = folder / PLAN
    if not path.is_file():
        raise NotFound(f"{folder} holds no fine-tuning (no {PLAN}): give the folder that toposheet finetune wrote")
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(plan["recipe"]["subject"], str)
        assert isinstance(plan["task"], str)
        assert isinstance(plan["examples"], str)
    except (ValueError, KeyError, TypeError, AssertionError):
        raise UserError(f"{path} is damaged: fine-tune into another folder, or remove this one") from None
    return plan


def write_finished(out: Path, layer: nn.Linear, task: str, tables: Tables) -> None:
    """Write the classifier and the tables of a finished fine-tuning. The model was written before."""
    with folder_aside(out, last=CLASSIFIER) as aside:
        predictions_table(task).write(tables.items, aside)
        SCORES.write(tables.scores, aside)
        FINETUNINGS.write(tables.finetunings, aside)
        save_file({"weight": layer.weight.detach().cpu().contiguous()}, aside / CLASSIFIER)


def read_tables(folder: Path, task: str) -> Tables:
    """Return the tables of a finished fine-tuning.

    Raises:
        UserError: A file is missing or damaged. The message names it.
    """
    return Tables(predictions_table(task).read(folder), SCORES.read(folder), FINETUNINGS.read(folder))


def read_layer(folder: Path) -> nn.Linear:
    """Return the linear layer of the classifier in a folder.

    Raises:
        UserError: The fine-tuning is not finished, or the file is damaged.
    """
    path = folder / CLASSIFIER
    if not path.is_file():
        raise UserError(f"the fine-tuning in {folder} is not finished: run the command that began it again")
    try:
        weight = load_file(path)["weight"]
    except (SafetensorError, KeyError, OSError) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}): copy it again") from None
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta").to_empty(device="cpu")
    layer.load_state_dict({"weight": weight})
    return layer


def _flat(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{where}{name}.")
        elif name != "path":
            flat[where + name] = value
    return flat
