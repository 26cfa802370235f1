"""The card of a trained model, as the Hugging Face hub shows it: what it is, made from what, worth how much."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from toposheet.figures.numbers import number, signed
from toposheet.files import write_file
from toposheet.recipes import Recipe
from toposheet.train.snapshots import PER_CONDITION
from toposheet.version import __version__

CARD = "README.md"


def write_card(
    folder: Path,
    recipe: Recipe,
    result: Mapping[str, Any],
    snapshots: pd.DataFrame,
    shipped_as: str | None = None,
) -> None:
    """Write `README.md`: recipe, data with licences, tokens, losses, and Moran's I with its nulls and cross-half.

    Args:
        folder: The model folder.
        recipe: The run.
        result: What `training.json` holds.
        snapshots: The snapshots of the run; the last one is shown, none where there are none.
        shipped_as: The name of a model that comes with the package.
    """
    last = snapshots[snapshots["update"] == snapshots["update"].max()] if len(snapshots) else None
    maps = None if last is None else last.drop(columns=["contrast", "sheet", "tap"]).median().to_dict()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("toposheet.train"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "signed": signed}
    page = environment.get_template("card.md.jinja").render(
        result=result,
        recipe={name: json.dumps(value) for name, value in recipe.fields().items() if value is not None},
        name=recipe.name,
        is_control=recipe.is_control,
        maps=maps,
        n_taps=0 if last is None else len(last),
        shipped_as=shipped_as,
        per_condition=PER_CONDITION,
        version=__version__,
    )
    write_file(folder / CARD, page)
