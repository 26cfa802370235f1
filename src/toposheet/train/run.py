"""An opened run: its text, its subject distributed over the processes, and its state."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from torch import nn
from torch.optim import Optimizer

from toposheet.recipes import RECIPE_FILE, Recipe, write_recipe
from toposheet.subject import Subject, save
from toposheet.subject.adapter import round_adapter, save_adapter
from toposheet.text.shards import Manifest, read_manifest
from toposheet.train.batches import RunText, read_text
from toposheet.train.checkpoints import Checkpoint, newest_checkpoint, read_checkpoint, save_checkpoint
from toposheet.train.distillation import original_of
from toposheet.train.finish import write_result
from toposheet.train.hardware import machine
from toposheet.train.lora import check_gradients, trained_state, with_adapter
from toposheet.train.model import new_subject, with_weights
from toposheet.train.optimizer import optimizers
from toposheet.train.parallel import load_whole_state, parallelise, this_process, whole_state
from toposheet.train.preconditions import check_batch, check_checkpoint, check_subject, is_finished
from toposheet.train.task import NextToken
from toposheet.train.validation import Validation

CHECKPOINTS = "checkpoints"


@dataclass
class Run:
    """A run and its state.

    Args:
        recipe: The recipe of the run. If a subject is trained further, the recipe describes its model and sheets.
        out: The model folder.
        text: The text of the run.
        subject: The subject that is trained. Its model is on the device of this process.
        base: The subject before the run, if low-rank changes (LoRA) are trained. None: the weights are trained.
        accelerator: The accelerator of this process.
        whole: The model with its task, before it is distributed.
        task: The model with its task, distributed over the processes (`parallel.parallelise`).
        weights: The optimizers.
        machine: The description of the hardware (`hardware.machine`).
        done: The number of finished updates.
        validations: The task losses of all validations so far, in nats per token.
        seconds: Seconds that the run took before it was last stopped and continued.
        good: Folder and update of the last checkpoint, as text for error messages.
    """

    recipe: Recipe
    out: Path
    text: RunText
    subject: Subject
    base: Subject | None
    accelerator: Accelerator
    whole: NextToken
    task: nn.Module
    weights: list[Optimizer]
    machine: dict[str, Any]
    done: int
    validations: list[float]
    seconds: float
    good: str

    def save(self, seconds: float) -> None:
        """Write a checkpoint of the present state. Every process must call this; the main process writes.

        Args:
            seconds: Seconds that the run has taken so far (`Speed.seconds`).
        """
        model_state, states = whole_state(self.whole, self.weights)
        if self.accelerator.is_main_process:
            model_state = model_state if self.base is None else trained_state(self.whole, model_state)
            text = self.text.manifest.checksum
            checkpoint = Checkpoint(self.done, text, self.machine, self.validations, seconds, model_state, states)
            save_checkpoint(self.out / CHECKPOINTS, checkpoint)
        self.good = f"{self.out / CHECKPOINTS}, after update {self.done}"

    def round_as_stored(self) -> None:
        """Round low-rank changes to the numbers that the model folder will hold. Whole weights stay as they are."""
        if self.base is not None:
            round_adapter(self.whole)

    def finish(self, validation: Validation, seconds: float) -> None:
        """Write the trained subject, its card and its final losses, and remove the checkpoints.

        Args:
            validation: The losses at the end of the run.
            seconds: Seconds that the run has taken (`Speed.seconds`).
        """
        model_state, _ = whole_state(self.whole, ())
        if self.accelerator.is_main_process:
            if self.base is None:
                state = {name.removeprefix("model."): value for name, value in model_state.items()}
                save(self.out, with_weights(self.subject, state))
            else:
                save_adapter(self.out, self.whole.model, self.base)
            more = {"seconds": round(seconds, 1), "machine": self.machine}
            write_result(self.out, self.recipe, self.text, validation, self.done, **more)
            shutil.rmtree(self.out / CHECKPOINTS, ignore_errors=True)
        self.accelerator.wait_for_everyone()


def open_run(
    recipe: Recipe,
    data: Path,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
    subject: Subject | None = None,
) -> Run | None:
    """Return a run at its start or at its last checkpoint, or None if the run is finished.

    `loop.train` explains the arguments. It must have made the checks that need no text. If a subject is trained
    further, `recipe` must describe this subject (`model.recipe_for`).
    """
    this_process()
    accelerator = Accelerator(
        log_with=list(trackers) or None,
        project_dir=out,
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    if not accelerator.is_main_process:
        logging.getLogger("toposheet").setLevel(logging.ERROR)  # only the main process prints warnings
    manifest = read_manifest(data) if accelerator.is_local_main_process else Manifest.load(data)
    if is_finished(out, manifest.checksum):
        return None
    text = read_text(data, manifest, recipe)
    check_batch(recipe, text)
    if subject is None:
        subject = new_subject(recipe, text.tokenizer)
    else:
        check_subject(subject, recipe, text)
        subject = subject if subject.tokenizer is not None else subject.with_tokenizer(text.tokenizer)
    here = machine(accelerator.device, accelerator.num_processes)
    checkpoint_folder = newest_checkpoint(out / CHECKPOINTS) if accelerator.is_main_process else None
    (path,) = broadcast_object_list([checkpoint_folder])  # all processes continue from the same checkpoint
    checkpoint = None if path is None else read_checkpoint(path)
    if checkpoint is not None:
        check_checkpoint(checkpoint, manifest, here, on_other_machine)

    lora = recipe.optimisation.lora_rank is not None
    original = original_of(subject, recipe) if recipe.optimisation.distillation else None
    base, subject = (subject, with_adapter(subject, recipe)) if lora else (None, subject)
    with subject.running() as model:
        whole = NextToken(model, recipe.optimisation.precision, original)
        if lora:
            check_gradients(whole)
        task = parallelise(whole, recipe, accelerator)
        weights = optimizers(model, recipe)
    done, validations, seconds = 0, [], 0.0
    if checkpoint is not None:
        load_whole_state(whole, weights, checkpoint.model, checkpoint.optimizers)
        done, validations, seconds = checkpoint.update, checkpoint.validations, checkpoint.seconds
    good = f"{out / CHECKPOINTS}, after update {done}" if done else "none was saved yet"
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out / RECIPE_FILE, recipe)
    accelerator.wait_for_everyone()
    return Run(
        recipe, out, text, subject, base, accelerator, whole, task, weights, here, done, validations, seconds, good
    )
