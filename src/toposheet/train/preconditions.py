"""What must hold before anything is trained: folder, text, processes and machine belong to the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.recipes import RECIPE_FILE, Recipe, read_recipe, recipe_of
from toposheet.subject import Subject
from toposheet.text.shards import Manifest
from toposheet.topography import OBJECTIVES, spatial_losses
from toposheet.train.batches import RunText
from toposheet.train.checkpoints import Checkpoint
from toposheet.train.result import RESULT, read_result
from toposheet.train.task import differs_from_its_own

_SAME_LOSS = 1e-3  # relative; other kernels round otherwise


def refuse_other_run(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe.

    Raises:
        UserError: the message names the fields that differ.
    """
    path = out / RECIPE_FILE
    if path.is_file():
        if changes := read_recipe(path).differences(recipe):
            raise UserError(
                f"{out} holds another run ({'; '.join(changes)}; there, asked for): "
                "train into another folder, or remove this one"
            )
    elif (out / "config.json").is_file():
        raise UserError(f"{out} holds a model that is no run of a recipe: train into another folder")


def stopping_with(recipe: Recipe, run: Path) -> Recipe:
    """Return a recipe whose run ends at the update at which a finished one ended: equal compute for a pair.

    Raises:
        UserError: the other run is not finished, or its updates are others.
    """
    result = read_result(run)
    if result is None:
        raise UserError(f"{run} holds no finished run to stop with (no {RESULT}): train that first")
    theirs, ours = recipe_of(result["recipe"], run / RESULT).fields(), recipe.fields()
    for field in ("updates", "batch", "context"):
        if theirs[field] != ours[field]:
            raise UserError(f"{run} has {field} {theirs[field]}, this run {ours[field]}: no pair of equal compute")
    ended, how = result["updates"], recipe.optimisation
    return recipe if ended == how.updates and how.patience is None else recipe.changed(stop_after=ended)


def is_finished(out: Path, text_checksum: str) -> bool:
    """Return whether a folder holds a finished run, with its model; refuse one on other text."""
    result = read_result(out)
    if result is None:
        return False
    if result["text"] != text_checksum:
        raise UserError(f"{out} holds a run on other text: train into another folder, or remove this one")
    parts = ("config.json", "model*.safetensors", "topography.json", "topography.safetensors")
    return all(any(out.glob(part)) for part in parts)


def check_subject(subject: Subject, recipe: Recipe, text: RunText) -> None:
    """Refuse a subject that cannot be trained further on a text.

    Raises:
        UserError: its weights are not in float32, it cannot read blocks of that length, the text is made of other
            tokens than its own, or what its family makes of its logits is not known.
    """
    with subject.running() as model:
        if model.dtype != torch.float32:
            raise UserError(f"the weights of {subject.name} are {model.dtype}: load it in float32 to train it further")
        context, vocabulary = subject.context, model.config.get_text_config().vocab_size
        if context is not None and recipe.model.context > context:
            raise UserError(
                f"{subject.name} reads at most {context} tokens, the recipe has blocks of {recipe.model.context}: "
                f"set context to {context} or less"
            )
        tokens = text.tokenizer.get_vocab()
        vocabulary_of_subject = tokens if subject.tokenizer is None else subject.tokenizer.get_vocab()
        if tokens != vocabulary_of_subject or max(tokens.values()) >= vocabulary:
            raise other_tokens(subject)
        if (difference := differs_from_its_own(model, recipe.model.context)) > _SAME_LOSS:
            family = model.config.model_type
            raise UserError(
                f"the loss of {subject.name} is {difference:.1%} off that of its own logits: its family, "
                f"{family}, does something that toposheet does not know; declare it with "
                f"toposheet.register('architecture', {family!r}, ...), as CONTRIBUTING says under 'How to add'"
            )


def other_tokens(subject: Subject) -> UserError:
    """Return the error that refuses a text for a subject that reads other tokens."""
    return UserError(
        f"the text is made of other tokens than those of {subject.name}: prepare it with the tokenizer of the "
        "model (toposheet data prepare SOURCE --tokenizer FOLDER)"
    )


def check_objective(subject: Subject, recipe: Recipe) -> None:
    """Refuse windows that do not fit the sheets before anything is trained."""
    topo, objective = subject.topography, recipe.objective
    silence = {tap: torch.zeros(1, 2, width) for tap, width in topo.widths.items()}
    spatial_losses(silence, topo, "all", objective.radius, objective.metric, objective.window)
    if OBJECTIVES[objective.name].on_weights:
        with subject.running() as model:
            topo.weights(model)


def check_checkpoint(checkpoint: Checkpoint, manifest: Manifest, here: dict[str, Any], on_other_machine: bool) -> None:
    """Refuse to go on with a run on other text, or on another machine unless that is accepted.

    Args:
        checkpoint: Where the run stands.
        manifest: Of the text to go on with.
        here: The machine to go on on (`hardware.machine`).
        on_other_machine: Accept another one.

    Raises:
        UserError: the message says what changed.
    """
    if checkpoint.text != manifest.checksum:
        raise UserError(
            f"the run stands at update {checkpoint.update} on other text: give it the text that it began with, or "
            "train into another folder"
        )
    changes = differences(checkpoint.machine, here)
    if changes and not on_other_machine:
        raise UserError(
            f"the run was computed on another machine up to update {checkpoint.update} ({'; '.join(changes)}; there, "
            "asked for): going on here rounds otherwise, so its losses would no longer be those of a run that was "
            "never stopped; go on there, or accept that with on_other_machine (--on-other-machine)"
        )
