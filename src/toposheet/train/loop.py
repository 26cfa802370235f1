"""The training loop: it minimises task loss + alpha * spatial loss, on one process or on several."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toposheet.architectures.attention import attention, block_attention, default_attention
from toposheet.errors import RunError
from toposheet.files import path_of
from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.subject.checkpoint import check_opens_again
from toposheet.train.batches import TEXT, prefetched, prepare_builtin
from toposheet.train.hardware import keep_freed_memory
from toposheet.train.log import METRICS, Metrics, check_trackers, progress_bar
from toposheet.train.model import recipe_for
from toposheet.train.optimizer import learning_rate
from toposheet.train.parallel import check_processes, this_process, whole_weights
from toposheet.train.preconditions import (
    check_learner,
    check_lora,
    check_objective,
    check_sheets,
    other_tokens,
    refuse_other_run,
    refuse_without_subject,
    warn_of_long_warm_ups,
)
from toposheet.train.run import Run, open_run
from toposheet.train.signals import StopRequest, stop_when_asked
from toposheet.train.snapshots import Snapshots, snapshot_stimuli
from toposheet.train.speed import Speed
from toposheet.train.update import Measured, Updater
from toposheet.train.validation import Validation, has_stopped_learning, validate


def train(
    recipe: Recipe,
    data: Path | None,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
    *,
    subject: Subject | None = None,
) -> None:
    """Train a new model by a recipe, or train a subject further. The result is a model folder.

    The model folder holds the model, its topography and its tokenizer. It also holds `recipe.json`, `metrics.jsonl`
    (the losses of every update), `snapshots.csv` and `snapshots/` (maps during training) and `checkpoints/`. When the
    run is finished, it holds `training.json` with the final losses, and `checkpoints/` is removed. A stopped run
    continues from its last checkpoint. A finished run is not changed.

    Under `torchrun` the processes share the micro-batches of every update.

    Args:
        recipe: The recipe of the run. On one machine, equal recipes and equal text give equal models.
        data: A folder of prepared text (`toposheet data prepare`). None: the first process prepares the built-in text
            in OUT/text, and the other processes wait.
        out: The model folder.
        trackers: Experiment trackers that also receive the metrics: `tensorboard`, `wandb`, `trackio`.
        on_other_machine: Continue a run that began on other hardware or with another number of processes. Other
            hardware rounds differently, so the losses are not bit for bit those of a run that never stopped.
        subject: The subject to train further. Its sheets and its interventions stay in place, and the weights of its
            model change; with `lora_rank` in the recipe they stay. The run then takes only the objective, the
            optimisation, the bookkeeping, the seed and the block length (`model.context`) from the recipe. None: a new
            model is built, with the sheets of the recipe.

    Raises:
        NotFound: The folder `data` holds no prepared text.
        UserError: The model folder holds a run with another recipe, subject or machine. Or the recipe, the text, the
            subject, the trackers and the number of processes do not fit together. Checks that need no text come before
            any text is prepared.
        RunError: A loss or a gradient became nan or inf, or the disk is full. The message names the last checkpoint.
        KeyboardInterrupt: The user interrupted the run. Its state is saved.
        SystemExit: The run received SIGTERM. Its state is saved, and the exit code is 0.
    """
    if subject is not None:
        check_learner(subject)
        check_opens_again(subject)
    recipe = recipe if subject is None else recipe_for(subject, recipe)
    out, data = path_of(out, "out"), None if data is None else path_of(data, "data")
    refuse_other_run(out, recipe)
    check_trackers(trackers)
    check_processes(recipe, this_process().num_processes)
    warn_of_long_warm_ups(recipe)
    if subject is None:
        refuse_without_subject(recipe)
        check_sheets(recipe)
    else:
        check_objective(subject, recipe)
        check_lora(subject, recipe)
    if data is None:
        if subject is not None:
            raise other_tokens(subject)
        data = out / TEXT
        with this_process().main_process_first():
            prepare_builtin(data, recipe)
    with stop_when_asked() as stop_request:  # only from here on: while text is prepared, Ctrl-C can stop at once
        for _ in updates(recipe, data, out, trackers, on_other_machine, stop_request, subject=subject):
            pass


def updates(
    recipe: Recipe,
    data: Path,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
    stop_request: StopRequest | None = None,
    *,
    subject: Subject | None = None,
) -> Generator[Measured, None, None]:
    """Make the updates of a run and yield the losses of each update. See `train` for the arguments.

    `train` must have checked the arguments before. When `stop_request` holds a signal, the run stops after its present
    update.
    """
    run = open_run(recipe, data, out, trackers, on_other_machine, subject)
    if run is None:
        return
    keep_freed_memory()
    with ExitStack() as stack:
        stack.enter_context(full_disk_reported(lambda: run.good))
        run.accelerator.init_trackers("toposheet", config=_tracker_config(run.recipe))
        for tracker in run.accelerator.trackers:
            stack.callback(tracker.finish)
        speed = Speed(run.subject, run.recipe, run.accelerator, run.seconds)
        validation = yield from _remaining_updates(run, speed, stop_request or StopRequest())
        run.finish(validation, speed.seconds)


def _remaining_updates(run: Run, speed: Speed, stop_request: StopRequest) -> Generator[Measured, None, Validation]:
    """Make the remaining updates of a run and yield the losses of each update. Return the validation at the end."""
    recipe, accelerator, task, topo = run.recipe, run.accelerator, run.task, run.subject.topography
    last_update, every = recipe.optimisation.last_update, recipe.bookkeeping
    metrics = Metrics(run.out / METRICS, run.done, accelerator)
    stimuli = snapshot_stimuli(run.text, recipe) if every.snapshot_every else None
    snapshots = Snapshots(run.out, run.done, run.subject, stimuli, recipe, accelerator.is_main_process)
    validation: Validation | None = None

    with ExitStack() as stack:
        model = stack.enter_context(run.subject.running())
        attention_before = default_attention(model)
        stack.enter_context(attention(model, block_attention(model, recipe.model.context)))
        activations = stack.enter_context(topo.record(model))
        batches = stack.enter_context(prefetched(run.text.blocks, recipe, accelerator, run.done))
        bar = stack.enter_context(progress_bar(recipe.name, last_update, run.done, accelerator.is_main_process))
        stack.callback(model.train, model.training)
        task.train()
        update_weights = Updater(model, task, run.weights, topo, activations, recipe, accelerator)

        def losses() -> Validation:
            return validate(task, topo, activations, run.text.held_out, recipe, accelerator)

        def take_snapshot() -> None:
            with whole_weights(run.whole), attention(model, attention_before):
                snapshots.take(run.done)
            activations.clear()

        if snapshots.are_due(run.done):
            take_snapshot()
        while run.done < last_update and not _stops_early(run.validations, recipe):
            speed.start()
            try:
                measured = update_weights(run.done, next(batches))
            except RunError as error:
                raise RunError(
                    f"update {run.done + 1}: {error} (last checkpoint: {run.good}): train into another folder, "
                    "with a lower learning rate or a lower alpha"
                ) from None
            row = _metrics_row(measured, run.done, recipe) | speed.stop()
            run.done += 1
            metrics.write(run.done, **row)
            last = run.done == last_update
            if last or run.done % every.validate_every == 0:
                validation = losses()
                run.validations.append(validation.task_loss)
                metrics.write(run.done, **validation.as_row())
            if snapshots.are_due(run.done):
                take_snapshot()
            bar.set_postfix_str(_bar_text(measured, validation, speed), refresh=False)
            bar.update()
            yield measured
            stop = stop_request.from_any_process(accelerator)
            if stop or last or run.done % every.checkpoint_every == 0:
                run.save(speed.seconds)
            if stop == signal.SIGTERM:
                said = "the run is stopped and saved after update %d; run the same command again to continue"
                logging.getLogger(__name__).warning(said, run.done)
                sys.exit(0)
            if stop:
                raise KeyboardInterrupt
        run.round_as_stored()
        if run.base is not None or validation is None:  # None: the run was stopped between its last update and its end
            validation = losses()
        if snapshots.are_due(run.done, at_the_end=True):
            take_snapshot()
        return validation


@contextmanager
def full_disk_reported(good_state: Callable[[], str]) -> Generator[None, None, None]:
    """Turn the OSError of a full disk into a RunError that names the last checkpoint."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        advice = "free some disk space, then run the same command again"
        raise RunError(f"{error} (last checkpoint: {good_state()}): {advice}") from None


def _stops_early(validations: Sequence[float], recipe: Recipe) -> bool:
    """Return whether early stopping (`patience`) ends the run. A run with `stop_after` never stops early."""
    patience, stop_after = recipe.optimisation.patience, recipe.optimisation.stop_after
    return patience is not None and stop_after is None and has_stopped_learning(validations, patience)


def _metrics_row(measured: Measured, update: int, recipe: Recipe) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task_loss": measured.task_loss,
        "gradient_norm": measured.gradient_norm,
        "learning_rate": learning_rate(update, recipe),
    }
    if measured.divergence is not None:
        row["divergence"] = measured.divergence
    if measured.spatial_losses:
        values = list(measured.spatial_losses.values())
        row |= {
            "spatial_loss": float(np.mean(values)),
            "spatial_losses": measured.spatial_losses,
            "alpha": measured.alpha,
            "weighted_spatial_loss": measured.weighted_spatial_loss,
        }
    return row


def _bar_text(measured: Measured, validation: Validation | None, speed: Speed) -> str:
    text = f"{speed.mean_tokens_per_second:,.0f} tokens/s, task loss {measured.task_loss:.2f}"
    spatial = measured.spatial_losses or (validation.spatial_losses if validation is not None else {})
    return f"{text}, spatial loss {np.mean(list(spatial.values())):.3f}" if spatial else text


def _tracker_config(recipe: Recipe) -> dict[str, Any]:
    fields = recipe.fields().items()
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in fields}
