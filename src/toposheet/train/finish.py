"""The files that a finished run writes beside its model: the card and the final losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toposheet.files import write_file
from toposheet.recipes import Recipe, stored_form
from toposheet.recipes.result import RESULT
from toposheet.text.bigram import bigram_loss
from toposheet.train.batches import RunText
from toposheet.train.card import write_card
from toposheet.train.snapshots import read_snapshots
from toposheet.train.validation import Validation

_BIGRAM_TOKENS = 50_000_000  # enough for stable counts: more tokens take memory and hardly change the loss


def write_result(
    out: Path, recipe: Recipe, text: RunText, validation: Validation, updates: int, **more: Any
) -> None:  # fmt: skip
    """Write the card of a model and `training.json`.

    The model must have been written before, and `training.json` is written last. A folder that holds this file
    therefore holds a finished run.

    Args:
        out: The model folder.
        recipe: The recipe of the run.
        text: The text of the run.
        validation: The losses at the end of the run.
        updates: The number of updates that the run made.
        more: Further entries of `training.json`.
    """
    batch, context = recipe.optimisation.batch, recipe.model.context
    seen = text.blocks.seen(min(updates * batch, _BIGRAM_TOKENS // context))
    result = {
        "recipe": stored_form(recipe),
        "text": text.manifest.checksum,
        "corpora": text.manifest.corpora,
        "split": text.manifest.split,
        "updates": updates,
        "tokens": updates * batch * context,
        **validation.as_row(),
        "bigram_loss": bigram_loss(seen, text.held_out.numpy(), recipe.model.vocabulary),
        **more,
    }
    write_card(out, recipe, result, read_snapshots(out))
    write_file(out / RESULT, json.dumps(result, indent=2) + "\n")
