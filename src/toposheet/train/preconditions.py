"""Checks before a training: folder, text, subject and machine must fit the recipe."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.files import refuse_other_files
from toposheet.model_folders import ADAPTER_CONFIG, holds_adapter, holds_model
from toposheet.recipes import RECIPE_FILE, Recipe, read_recipe, recipe_of
from toposheet.recipes.result import RESULT, read_result
from toposheet.subject import Subject
from toposheet.subject.adapter import ADAPTER_WEIGHTS, BASE, check_peft, linear_layers
from toposheet.subject.next_token import check_predicts
from toposheet.text.shards import MANIFEST, Manifest
from toposheet.topography import OBJECTIVES, spatial_losses
from toposheet.topography.storage import ARRAYS, DESCRIPTION
from toposheet.topography.taps import check_run_once, within_base_model
from toposheet.train.batches import RunText
from toposheet.train.card import CARD
from toposheet.train.checkpoints import Checkpoint
from toposheet.train.log import METRICS
from toposheet.train.model import new_subject
from toposheet.train.snapshots import SNAPSHOTS
from toposheet.train.task import relative_loss_difference
from toposheet.wording import counted

_SAME_LOSS = 1e-3  # relative difference of two losses that rounding in different kernels can cause

# Some of the files that training writes.
_WRITTEN = (CARD, RESULT, METRICS, SNAPSHOTS.file, DESCRIPTION, ARRAYS)


def refuse_other_run(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe, prepared text, or files that training would overwrite.

    Raises:
        UserError: The message names the fields that differ, or a file. Train into another folder.
    """
    path = out / RECIPE_FILE
    if (out / MANIFEST).is_file():
        raise UserError(f"{out} holds prepared text: train into another folder")
    if path.is_file():
        if changes := read_recipe(path).differences(recipe):
            raise UserError(
                f"{out} holds another run ({'; '.join(changes)}): train into another folder, or remove this one"
            )
    elif holds_model(out):
        raise UserError(
            f"{out} holds a model that was not trained by a recipe (no {RECIPE_FILE}): train into another folder"
        )
    else:
        refuse_other_files(out, [name for name in _WRITTEN if (out / name).exists()])


def warn_of_long_warm_ups(recipe: Recipe) -> None:
    """Warn if a warm-up does not end before the run does."""
    optimisation, objective = recipe.optimisation, recipe.objective
    rising = {"learning_rate": optimisation.warmup_updates, "alpha": objective.alpha_warmup_updates}
    for name, warm_up in rising.items():
        if warm_up >= optimisation.updates and (name != "alpha" or recipe.has_objective):
            logging.getLogger(__name__).warning(
                "%s does not reach its value, because its warm-up has %d updates and the run has %d",
                name, warm_up, optimisation.updates,
            )  # fmt: skip


def stopping_with(recipe: Recipe, run: Path) -> Recipe:
    """Return the recipe, changed so that its run ends at the update at which a finished run ended.

    A model and its control then get equal compute.

    Args:
        recipe: The recipe to change.
        run: The model folder of another run, which has finished.

    Raises:
        UserError: The other run is not finished, or it differs in `updates`, `batch` or `context`.
    """
    result = read_result(run)
    if result is None:
        raise UserError(
            f"{run} holds no finished run (no {RESULT}), so its last update is not known: finish this run first"
        )
    finished, new = recipe_of(result["recipe"], run / RESULT).fields(), recipe.fields()
    for field in ("updates", "batch", "context"):
        if finished[field] != new[field]:
            raise UserError(
                f"{run} has {field} {finished[field]}, but the new run has {field} {new[field]}: for equal compute, "
                f"give the new run {field} {finished[field]}"
            )
    ended, optimisation = result["updates"], recipe.optimisation
    return (
        recipe if ended == optimisation.updates and optimisation.patience is None else recipe.changed(stop_after=ended)
    )


def is_finished(out: Path, text_checksum: str) -> bool:
    """Return whether a folder holds a finished run and all files of its model.

    Raises:
        UserError: The folder holds a finished run on another text.
    """
    result = read_result(out)
    if result is None:
        return False
    if result["text"] != text_checksum:
        raise UserError(f"{out} holds a run on another text: train into another folder, or remove this one")
    whole, low_rank = ("config.json", "model*.safetensors"), (ADAPTER_CONFIG, ADAPTER_WEIGHTS, BASE)
    parts = (*(low_rank if holds_adapter(out) else whole), DESCRIPTION, ARRAYS)
    return all(any(out.glob(part)) for part in parts)


def check_reads(subject: Subject, recipe: Recipe, text: RunText) -> None:
    """Refuse a subject that cannot read the blocks of a text.

    Raises:
        UserError: The blocks of the recipe are longer than the model can read. Or the text and the subject have
            different tokenizers.
    """
    subject.limits.check_block(recipe.model.context)
    tokens = text.tokenizer.get_vocab()
    vocabulary_of_subject = tokens if subject.tokenizer is None else subject.tokenizer.get_vocab()
    if tokens != vocabulary_of_subject:
        raise other_tokens(subject)
    subject.limits.check_vocabulary(tokens)


def check_learner(subject: Subject) -> None:
    """Refuse a subject whose weights cannot be trained to predict the next token. This needs no text.

    Raises:
        UserError: The model does not predict the next token (`check_predicts`), or its weights are quantised, or not in
            float32.
    """
    with subject.running() as model:
        if _is_quantised(model):
            raise UserError(
                f"the weights of {subject.name} are quantised, and such weights take no gradients: to train it "
                "further, load the original weights in float32"
            )
        others = (p.dtype for p in model.parameters() if p.dtype != torch.float32)
        if (dtype := next(others, None)) is not None:
            raise UserError(f"the weights of {subject.name} are {dtype}: load the model in float32 to train it further")
    check_predicts(subject)


def _is_quantised(model: PreTrainedModel) -> bool:
    """Return whether a model has weights that are stored as integers."""
    if getattr(model, "is_quantized", False) or any(not p.is_floating_point() for p in model.parameters()):
        return True
    return any(type(module).__module__.startswith("torch.ao.nn.quantized") for module in model.modules())


@torch.no_grad()
def check_subject(subject: Subject, recipe: Recipe, text: RunText) -> None:
    """Refuse a subject that cannot be trained further on a text.

    Raises:
        UserError: The subject cannot read the text (`check_reads`). Or the loss that toposheet computes differs from
            the loss of the model's logits.
    """
    check_reads(subject, recipe, text)
    with subject.running() as model:
        if (difference := relative_loss_difference(model, recipe.model.context)) > _SAME_LOSS:
            family = model.config.model_type
            raise UserError(
                f"toposheet computes a loss for {subject.name} that differs by {difference:.1%} from the loss of the "
                f"model's logits, because toposheet does not know the family {family} well enough: declare it with "
                f"toposheet.register('architecture', {family!r}, ...), see 'How to add an entry' in CONTRIBUTING"
            )


def other_tokens(subject: Subject) -> UserError:
    """Return the error for a text whose tokenizer differs from the tokenizer of the subject."""
    return UserError(
        f"the tokenizer of the text is not the tokenizer of {subject.name}: prepare the text with the tokenizer of "
        "the model (toposheet data prepare SOURCE --tokenizer FOLDER)"
    )


def check_batch(recipe: Recipe, text: RunText) -> None:
    """Refuse a batch that is larger than the training text: an update would read blocks of it twice.

    Raises:
        UserError: The message says how many blocks the text has.
    """
    batch, n_blocks = recipe.optimisation.batch, text.blocks.per_epoch
    if batch > n_blocks:
        raise UserError(
            f"a batch has {counted(batch, 'block')}, but the training text has {counted(n_blocks, 'block')} of "
            f"{counted(recipe.model.context, 'token')}: give --batch {n_blocks} or less (in Python: batch={n_blocks}), "
            "or prepare more text"
        )


def refuse_without_subject(recipe: Recipe) -> None:
    """Refuse a recipe for a new model that has fields for subjects that are trained further.

    Raises:
        UserError: The message names the field.
    """
    if (option := lora_option(recipe)) is not None:
        raise UserError(
            f"{option} is {getattr(recipe.optimisation, option)!r}, but a new model has no weights that low-rank "
            "changes could keep: leave it out, or train a subject further (toposheet adapt)"
        )
    if recipe.optimisation.distillation:
        raise UserError(
            f"distillation is {recipe.optimisation.distillation}, but a new model has no original from which it can be "
            "distilled: set it to 0, or train a subject further (toposheet adapt)"
        )


def lora_option(recipe: Recipe) -> str | None:
    """Return the name of an option of low-rank changes that a recipe sets. None: it sets none."""
    options = ("lora_rank", "lora_alpha", "lora_layers")
    return next((name for name in options if getattr(recipe.optimisation, name) is not None), None)


def check_lora(subject: Subject, recipe: Recipe) -> None:
    """Check, before anything is trained, that a subject can have the low-rank changes of a recipe, if it has any.

    Raises:
        MissingPackage: The package `peft` is not installed.
        UserError: The model lacks a layer that the recipe names, or the recipe has other options and no rank.
    """
    option = lora_option(recipe)
    if recipe.optimisation.lora_rank is None and option is not None:
        value = getattr(recipe.optimisation, option)
        raise UserError(f"{option} is {value!r}, but lora_rank is None: set lora_rank too")
    if recipe.optimisation.lora_rank is not None:
        check_peft()
        with subject.running() as model:
            linear_layers(model, recipe.optimisation.lora_layers)


def check_sheets(recipe: Recipe) -> None:
    """Check that a recipe can give sheets to its model, and that its objective can be computed on these sheets.

    The model is built without weights, so the check is fast for large models too, and it needs no text.

    Raises:
        UserError: A tap matches no module of the model, or the units of a tap do not fit on their sheet. Or the
            objective does not fit (`check_objective`).
    """
    check_objective(new_subject(recipe, tokenizer=None, device="meta"), recipe)


def check_objective(subject: Subject, recipe: Recipe) -> None:
    """Check, before anything is trained, that the objective can be computed on the sheets of a subject.

    Raises:
        UserError: Training does not run a tap. Or the windows do not fit on a sheet. Or an objective on weights cannot
            be computed for a tap.
    """
    topo, objective = subject.topography, recipe.objective
    with subject.running() as model:
        if outside := [tap for tap in topo.taps if not within_base_model(model, [tap])]:
            body = type(subject.architecture.body(model)).__name__
            raise UserError(
                f"the tap {outside[0]} is outside {body}, so training does not run it: choose taps inside {body}"
            )
        check_run_once(model, topo.taps)
    silence = {tap: torch.zeros(1, 2, width) for tap, width in topo.widths.items()}
    spatial_losses(silence, topo, "all", objective.radius, objective.metric, objective.window)
    if OBJECTIVES[objective.name].on_weights:
        with subject.running() as model, torch.no_grad():
            spatial_losses(topo.weights(model), topo, objective=objective.name)


def check_checkpoint(checkpoint: Checkpoint, manifest: Manifest, here: dict[str, Any], on_other_machine: bool) -> None:
    """Refuse to continue a run on another text, or on another machine unless the user accepts this.

    Args:
        checkpoint: The state of the stopped run.
        manifest: The manifest of the text with which the run would continue.
        here: The machine on which the run would continue (`hardware.machine`).
        on_other_machine: Whether the user accepts another machine.

    Raises:
        UserError: The message says what changed.
    """
    if checkpoint.text != manifest.checksum:
        raise UserError(
            f"the run made {counted(checkpoint.update, 'update')} on another text: continue with the text of "
            "these updates, or train into another folder"
        )
    changes = differences(checkpoint.machine, here)
    if changes and not on_other_machine:
        raise UserError(
            f"the run made {counted(checkpoint.update, 'update')} on another machine ({'; '.join(changes)}). "
            "Other hardware rounds differently, so the losses will not match exactly: continue "
            "on the first machine, or accept the difference with on_other_machine (--on-other-machine)"
        )
