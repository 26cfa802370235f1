"""The training loop: next-token loss plus alpha times the spatial loss, on one process or many."""

from __future__ import annotations

import errno
import logging
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list

from toposheet.errors import RunError
from toposheet.recipes import Recipe
from toposheet.text.shards import Manifest, read_manifest
from toposheet.text.tokenizer import end_of_text
from toposheet.topography import Topography
from toposheet.train.batches import prefetched, read_text
from toposheet.train.checkpoints import Progress, newest_checkpoint, read_progress, save_progress
from toposheet.train.claims import check_objective, check_progress, claim, is_finished
from toposheet.train.finish import write_model
from toposheet.train.hardware import keep_freed_memory, machine
from toposheet.train.log import METRICS, Metrics, check_trackers, progress_bar
from toposheet.train.model import BLOCK_ATTENTION, NextToken, attention, build_model
from toposheet.train.optimizer import learning_rate, optimizers
from toposheet.train.parallel import (
    check_processes,
    load_whole_state,
    parallelise,
    this_process,
    whole_state,
    whole_weights,
)
from toposheet.train.signals import Asked, stop_when_asked
from toposheet.train.snapshots import Snapshots, snapshot_stimuli
from toposheet.train.speed import Speed
from toposheet.train.update import Measured, Updater
from toposheet.train.validation import Validation, has_stopped_learning, validate

CHECKPOINTS = "checkpoints"


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
) -> None:
    """Train the model of a recipe and save it, with its topography and tokenizer, as a model folder.

    The folder also gets `recipe.json`, `metrics.jsonl` (every update), `snapshots.csv` and `snapshots/` (the maps on
    the way), `checkpoints/` and, when training is done, `training.json`: the final losses and how they came about. A
    run that was stopped goes on from its last checkpoint; one that is done is left as it is.

    Under `torchrun` the processes share the micro-batches of every update.

    Args:
        recipe: What to train. Equal recipes on equal text give equal models on one machine.
        data: A folder of prepared text (`toposheet data prepare`).
        out: The model folder.
        trackers: Where to log to besides `metrics.jsonl`: `tensorboard`, `wandb`, `trackio`.
        on_other_machine: Go on with a run that was begun on other hardware or by another number of processes; its
            losses are then no longer bit for bit those of a run that was never stopped.

    Raises:
        NotFound: there is no prepared text.
        UserError: the folder holds a run of another recipe or machine, or recipe, text and processes do not fit.
        RunError: the run diverged; the message names the last good checkpoint.
        KeyboardInterrupt: the run was interrupted; its state is saved.
        SystemExit: SIGTERM asked the run to stop; its state is saved and the code is 0.
    """
    with stop_when_asked() as asked:
        for _ in updates(recipe, data, out, trackers, on_other_machine, asked):
            pass


def updates(
    recipe: Recipe,
    data: Path,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
    asked: Asked | None = None,
) -> Generator[Measured, None, None]:
    """Train as `train` does, yielding what each update was like, until all are done or `asked` says stop."""
    asked = asked or Asked()
    claim(out, recipe)
    check_trackers(trackers)
    this_process()
    accelerator = Accelerator(
        log_with=list(trackers) or None,
        project_dir=out,
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    if not accelerator.is_main_process:
        logging.getLogger("toposheet").setLevel(logging.ERROR)  # the first process says it
    check_processes(recipe, accelerator.num_processes)
    manifest = read_manifest(data) if accelerator.is_local_main_process else Manifest.load(data)
    if is_finished(out, manifest.checksum):
        return
    text = read_text(data, manifest, recipe)
    end = end_of_text(text.tokenizer)
    model = build_model(recipe, end)
    topo = Topography.per_tap(model, recipe.taps, recipe.sheet_shape, recipe.spacing_mm, recipe.seed)
    check_objective(model, topo, recipe)
    here = machine(accelerator.device, accelerator.num_processes)
    found = newest_checkpoint(out / CHECKPOINTS) if accelerator.is_main_process else None
    (checkpoint,) = broadcast_object_list([found])  # all processes go on from the same
    progress = None if checkpoint is None else read_progress(checkpoint)
    if progress is not None:
        check_progress(progress, manifest, here, on_other_machine)

    keep_freed_memory()
    whole = NextToken(model, recipe.precision)
    task = parallelise(whole, recipe, accelerator)
    weights = optimizers(model, recipe)
    if progress is not None:
        load_whole_state(whole, weights, progress.model, progress.optimizers)
    done, validations = (progress.update, progress.validations) if progress is not None else (0, [])
    del progress  # its weights, a second time in memory
    good = f"{out / CHECKPOINTS}, after update {done}" if done else "none was saved yet"
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        recipe.save(out / "recipe.json")
    accelerator.wait_for_everyone()
    accelerator.init_trackers("toposheet", config=_tracked(recipe))
    metrics = Metrics(out / METRICS, done, accelerator)
    stimuli = snapshot_stimuli(text, recipe) if recipe.snapshot_every else None
    snapshots = Snapshots(out, done, topo, stimuli, text.tokenizer, recipe, accelerator.is_main_process)
    speed = Speed(model, recipe, accelerator)
    validation: Validation | None = None

    with ExitStack() as stack:
        stack.enter_context(_full_disk_names(lambda: good))
        for tracker in accelerator.trackers:
            stack.callback(tracker.finish)
        stack.enter_context(attention(model, BLOCK_ATTENTION))
        activations = stack.enter_context(topo.record(model))
        batches = stack.enter_context(prefetched(text.blocks, recipe, accelerator, done))
        bar = stack.enter_context(progress_bar(recipe.name, recipe.last_update, done, accelerator.is_main_process))
        update_weights = Updater(model, task, weights, topo, activations, recipe, accelerator)

        def save_here() -> str:
            model_state, states = whole_state(whole, weights)
            if accelerator.is_main_process:
                at = Progress(done, manifest.checksum, here, validations, model_state, states)
                save_progress(out / CHECKPOINTS, at)
            return f"{out / CHECKPOINTS}, after update {done}"

        def take_snapshot() -> None:
            with whole_weights(whole), attention(model, "sdpa"):
                snapshots.take(done, model)
            activations.clear()

        if snapshots.are_due(done):
            take_snapshot()
        while done < recipe.last_update and not _is_over(validations, recipe):
            speed.start()
            try:
                measured = update_weights(done, next(batches))
            except RunError as error:
                raise RunError(
                    f"update {done + 1}: {error} (last good state: {good}); train with a lower learning rate or "
                    "strength, into another folder"
                ) from None
            row = _row(measured, done, recipe) | speed.stop()
            done += 1
            metrics.write(done, **row)
            last = done == recipe.last_update
            if last or done % recipe.validate_every == 0:
                validation = validate(task, topo, activations, text.held_out, recipe, accelerator)
                validations.append(validation.task_loss)
                metrics.write(done, **validation.as_row())
            if snapshots.are_due(done):
                take_snapshot()
            bar.set_postfix_str(_postfix(measured, validation, speed), refresh=False)
            bar.update()
            yield measured
            stop = asked.by_any(accelerator)
            if stop or last or done % recipe.checkpoint_every == 0:
                good = save_here()
            if stop == signal.SIGTERM:
                logging.getLogger(__name__).warning("stopped after update %d; the same command goes on from here", done)
                sys.exit(0)
            if stop:
                raise KeyboardInterrupt
        if validation is None:  # stopped between the last update and the end
            validation = validate(task, topo, activations, text.held_out, recipe, accelerator)
        if snapshots.are_due(done, at_the_end=True):
            take_snapshot()
        model_state, _ = whole_state(whole, ())
        if accelerator.is_main_process:
            trained = build_model(recipe, end)
            NextToken(trained, recipe.precision).load_state_dict(model_state)
            seconds = round(speed.seconds_since_start, 1)
            write_model(
                out, recipe, trained, topo, text, validation, done, seconds_since_start_or_resume=seconds, machine=here
            )
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        accelerator.wait_for_everyone()


@contextmanager
def _full_disk_names(good_state: Callable[[], str]) -> Generator[None, None, None]:
    """Let a full disk say from where the run will go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RunError(f"{error} (last good state: {good_state()}); make room and call the same again") from None


def _is_over(validations: Sequence[float], recipe: Recipe) -> bool:
    """Return whether patience ends the run; a run that stops with another one has no patience of its own."""
    return recipe.patience is not None and recipe.stop_after is None and (
        has_stopped_learning(validations, recipe.patience)
    )  # fmt: skip


def _row(measured: Measured, update: int, recipe: Recipe) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task_loss": measured.task_loss,
        "gradient_norm": measured.gradient_norm,
        "learning_rate": learning_rate(update, recipe),
    }
    if measured.spatial_losses:
        values = list(measured.spatial_losses.values())
        row |= {
            "spatial_loss": float(np.mean(values)),
            "spatial_losses": measured.spatial_losses,
            "alpha": measured.alpha,
        }
    return row


def _postfix(measured: Measured, validation: Validation | None, speed: Speed) -> str:
    text = f"{speed.mean_tokens_per_second:,.0f} tokens/s, task loss {measured.task_loss:.2f}"
    spatial = measured.spatial_losses or (validation.spatial_losses if validation is not None else {})
    return f"{text}, spatial loss {np.mean(list(spatial.values())):.3f}" if spatial else text


def _tracked(recipe: Recipe) -> dict[str, Any]:
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in vars(recipe).items()}
