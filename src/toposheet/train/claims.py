"""What must hold before anything is trained: folder, text, processes and machine belong to the recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from toposheet.errors import UserError
from toposheet.recipes import Recipe
from toposheet.text.shards import Manifest
from toposheet.topography import ON_WEIGHTS, Topography, spatial_losses
from toposheet.train.checkpoints import Progress

RESULT = "training.json"
_OF_RESULT = (
    "recipe", "text", "corpora", "updates", "tokens", "validation_task_loss", "validation_spatial_loss", "bigram_loss",
    "machine",
)  # fmt: skip


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return what a finished run was worth, as `training.json` has it; none where a folder holds no finished run.

    Raises:
        UserError: the file is damaged; the message names it.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): it is not what a finished run leaves") from None
    if absent := [name for name in _OF_RESULT if not isinstance(result, dict) or name not in result]:
        raise UserError(f"{path} lacks {', '.join(absent)}: it is not what a finished run leaves")
    return result


def claim(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe.

    Raises:
        UserError: the message names the fields that differ.
    """
    path = out / "recipe.json"
    if path.is_file():
        differences = Recipe.load(path).differences(recipe)
        if differences:
            raise UserError(
                f"{out} holds another run ({'; '.join(differences)}; there, asked for): "
                "choose another --out or remove the folder"
            )
    elif (out / "config.json").is_file():
        raise UserError(f"{out} holds a model that is no run of a recipe: choose another --out")


def stopping_with(recipe: Recipe, run: Path) -> Recipe:
    """Return a recipe whose run ends at the update at which a finished one ended: equal compute for a pair.

    Raises:
        UserError: the other run is not finished, or its updates are others.
    """
    result = read_result(run)
    if result is None:
        raise UserError(f"{run} holds no finished run to stop with (no {RESULT}): train that first")
    for field in ("updates", "batch", "context"):
        if (there := result["recipe"][field]) != getattr(recipe, field):
            raise UserError(f"{run} has {field} {there}, this run {getattr(recipe, field)}: no pair of equal compute")
    ended = result["updates"]
    return recipe if ended == recipe.updates and recipe.patience is None else replace(recipe, stop_after=ended)


def is_finished(out: Path, text_checksum: str) -> bool:
    """Return whether a folder holds a finished run, with its model; refuse one on other text."""
    result = read_result(out)
    if result is None:
        return False
    if result["text"] != text_checksum:
        raise UserError(f"{out} holds a run on other text: choose another --out or remove the folder")
    parts = ("config.json", "model*.safetensors", "topography.json", "topography.safetensors")
    return all(any(out.glob(part)) for part in parts)


def check_vocabulary(recipe: Recipe, manifest: Manifest, text: Path) -> None:
    """Refuse a vocabulary other than the text's, or that padded to a multiple of 128 as matrix products like it."""
    if recipe.vocabulary not in (manifest.vocabulary, -(-manifest.vocabulary // 128) * 128):
        raise UserError(
            f"{text} has a vocabulary of {manifest.vocabulary}, the recipe of {recipe.vocabulary}: "
            f"set --vocabulary {manifest.vocabulary} or prepare the text with another tokenizer"
        )


def check_objective(model: PreTrainedModel, topo: Topography, recipe: Recipe) -> None:
    """Refuse windows that do not fit the sheets before anything is trained."""
    silence = {tap: torch.zeros(1, 2, width) for tap, width in topo.widths.items()}
    spatial_losses(silence, topo, "all", recipe.radius, recipe.metric, recipe.window)
    if recipe.objective in ON_WEIGHTS:
        topo.weights(model)


def check_progress(progress: Progress, manifest: Manifest, here: dict[str, Any], on_other_machine: bool) -> None:
    """Refuse to go on with a run on other text, or on another machine unless that is accepted.

    Args:
        progress: Where the run stands.
        manifest: Of the text to go on with.
        here: The machine to go on on (`hardware.machine`).
        on_other_machine: Accept another one.

    Raises:
        UserError: the message says what changed.
    """
    if progress.text != manifest.checksum:
        raise UserError(
            f"the run stands at update {progress.update} on other text: use the --data it began with, or another --out"
        )
    changes = [f"{name}: {progress.machine.get(name)}, {value}" for name, value in here.items()
               if progress.machine.get(name) != value]  # fmt: skip
    if changes and not on_other_machine:
        raise UserError(
            f"the run was computed on another machine up to update {progress.update} ({'; '.join(changes)}; then, now)"
            ": going on here rounds otherwise, so its losses would no longer be those of a run that was never stopped; "
            "go on there, or accept that with --on-other-machine"
        )
