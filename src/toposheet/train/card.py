"""The model card of a trained model, in the format of the Hugging Face hub: description, text, recipe and losses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.summary import of_taps
from toposheet.files import write_file
from toposheet.hub import may_be_on_hub
from toposheet.recipes import Recipe
from toposheet.subject.adapter import base_of
from toposheet.train.snapshots import PER_CONDITION
from toposheet.version import __version__
from toposheet.wording import counted, number, signed

CARD = "README.md"


def write_card(
    folder: Path,
    recipe: Recipe,
    result: Mapping[str, Any],
    snapshots: pd.DataFrame,
    shipped_as: str | None = None,
) -> None:
    """Write the model card, `README.md`.

    The card states the recipe, the base model if low-rank changes (LoRA) were trained, the corpora with their licences,
    the number of tokens and the losses. If the run took snapshots, the card also states Moran's I with its nulls,
    cross-half I and the fraction of significant units.

    Args:
        folder: The model folder. If low-rank changes were trained, it must hold them.
        recipe: The recipe of the run.
        result: The content of `training.json`.
        snapshots: The table of snapshots. The card shows the last snapshot. If the table has no rows, it shows no maps.
        shipped_as: The name of the model in the package, for example `small`. None: the model is not shipped.
    """
    taps = of_taps(snapshots)
    last = taps[taps["update"] == taps["update"].max()] if len(taps) else None
    maps = None if last is None else last.drop(columns=["contrast", "sheet", "tap"]).median().to_dict()
    base = None if recipe.optimisation.lora_rank is None else base_of(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("toposheet.train"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    divided = {"validation_fraction": result["split"]["validation_fraction"]}  # the text may be of another recipe
    environment.filters |= {"counted": counted, "number": number, "signed": signed}
    page = environment.get_template("card.md.jinja").render(
        result=result,
        shared_sheets=recipe.sheets.layout != "per_tap",
        n_sheets=len(result["validation_spatial_losses"]),
        recipe={name: json.dumps(value) for name, value in (recipe.fields() | divided).items() if value is not None},
        name=recipe.name,
        is_control=recipe.is_control,
        has_objective=recipe.has_objective,
        mechanism=recipe.mechanism.name,
        of_pretrained=recipe.subject is not None,
        task=_task(recipe.optimisation.distillation),
        objective=recipe.objective.name,
        lora_rank=recipe.optimisation.lora_rank,
        base=base,
        base_is_on_hub=base is not None and may_be_on_hub(base),
        maps=maps,
        n_taps=0 if last is None else len(last),
        shipped_as=shipped_as,
        per_condition=PER_CONDITION,
        version=__version__,
        significant=SIGNIFICANT,
    )
    write_file(folder / CARD, page)


def _task(distillation: float) -> str:
    """Return what a model was trained to do, in words."""
    if distillation == 0:
        return "to predict the next token"
    as_before = "to predict the next token as the model before the training did"
    return as_before if distillation == 1 else f"to predict the next token, in part ({distillation:g}) as before"
