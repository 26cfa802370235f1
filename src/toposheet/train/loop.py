"""The training loop: next-token loss plus alpha times the spatial loss, on one process or many."""

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
from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.train.batches import TEXT, prefetched, prepare_builtin
from toposheet.train.hardware import keep_freed_memory
from toposheet.train.log import METRICS, Metrics, check_trackers, progress_bar
from toposheet.train.model import recipe_for
from toposheet.train.optimizer import learning_rate
from toposheet.train.parallel import check_processes, this_process, whole_weights
from toposheet.train.preconditions import other_tokens, refuse_other_run
from toposheet.train.run import Run, open_run
from toposheet.train.signals import Asked, stop_when_asked
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
    """Train the model of a recipe, or a subject further, and save it with its topography and tokenizer as a folder.

    The folder also gets `recipe.json`, `metrics.jsonl` (every update), `snapshots.csv` and `snapshots/` (the maps on
    the way), `checkpoints/` and, when training is done, `training.json`: the final losses and how they came about. A
    run that was stopped goes on from its last checkpoint; one that is done is left as it is.

    Under `torchrun` the processes share the micro-batches of every update.

    Args:
        recipe: What to train. Equal recipes on equal text give equal models on one machine.
        data: A folder of prepared text (`toposheet data prepare`). None: the built-in text is prepared in OUT/text, by
            the first process while the others wait.
        out: The model folder.
        trackers: Where to log to besides `metrics.jsonl`: `tensorboard`, `wandb`, `trackio`.
        on_other_machine: Go on with a run that was begun on other hardware or by another number of processes; its
            losses are then no longer bit for bit those of a run that was never stopped.
        subject: What is trained further, on its own sheets, with its interventions in place. Its model is changed. Of
            the recipe count objective, optimisation, bookkeeping, seed, and the length of a block (`model.context`).
            None: the recipe's model is built, on the recipe's sheets.

    Raises:
        NotFound: there is no prepared text.
        UserError: the folder holds a run of another recipe, subject or machine, or recipe, text, subject, trackers and
            processes do not fit. What can be known without text is refused before any text is prepared.
        RunError: the run diverged; the message names the last good checkpoint.
        KeyboardInterrupt: the run was interrupted; its state is saved.
        SystemExit: SIGTERM asked the run to stop; its state is saved and the code is 0.
    """
    recipe = recipe if subject is None else recipe_for(subject, recipe)
    refuse_other_run(out, recipe)
    check_trackers(trackers)
    check_processes(recipe, this_process().num_processes)
    if data is None:
        if subject is not None:
            raise other_tokens(subject)
        data = out / TEXT
        with this_process().main_process_first():
            prepare_builtin(data, recipe)
    with stop_when_asked() as asked:  # not before: Ctrl-C while text is prepared need not wait for an update
        for _ in updates(recipe, data, out, trackers, on_other_machine, asked, subject=subject):
            pass


def updates(
    recipe: Recipe,
    data: Path,
    out: Path,
    trackers: Sequence[str] = (),
    on_other_machine: bool = False,
    asked: Asked | None = None,
    *,
    subject: Subject | None = None,
) -> Generator[Measured, None, None]:
    """Make the updates of a run that `train` has checked, yielding what each was like, until `asked` says stop."""
    run = open_run(recipe, data, out, trackers, on_other_machine, subject)
    if run is None:
        return
    keep_freed_memory()
    with ExitStack() as stack:
        stack.enter_context(_full_disk_names(lambda: run.good))
        run.accelerator.init_trackers("toposheet", config=_tracked(run.recipe))
        for tracker in run.accelerator.trackers:
            stack.callback(tracker.finish)
        speed = Speed(run.subject, run.recipe, run.accelerator)
        validation = yield from _remaining_updates(run, speed, asked or Asked())
        run.finish(validation, speed.seconds_since_start)


def _remaining_updates(run: Run, speed: Speed, asked: Asked) -> Generator[Measured, None, Validation]:
    """Make the updates that a run still has to make, yielding what each was like; return the losses at the end."""
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
        while run.done < last_update and not _is_over(run.validations, recipe):
            speed.start()
            try:
                measured = update_weights(run.done, next(batches))
            except RunError as error:
                raise RunError(
                    f"update {run.done + 1}: {error} (last good state: {run.good}); train with a lower learning rate "
                    "or strength, into another folder"
                ) from None
            row = _row(measured, run.done, recipe) | speed.stop()
            run.done += 1
            metrics.write(run.done, **row)
            last = run.done == last_update
            if last or run.done % every.validate_every == 0:
                validation = losses()
                run.validations.append(validation.task_loss)
                metrics.write(run.done, **validation.as_row())
            if snapshots.are_due(run.done):
                take_snapshot()
            bar.set_postfix_str(_postfix(measured, validation, speed), refresh=False)
            bar.update()
            yield measured
            stop = asked.by_any(accelerator)
            if stop or last or run.done % every.checkpoint_every == 0:
                run.save()
            if stop == signal.SIGTERM:
                said = "stopped after update %d; the same command goes on from here"
                logging.getLogger(__name__).warning(said, run.done)
                sys.exit(0)
            if stop:
                raise KeyboardInterrupt
        if validation is None:  # stopped between the last update and the end
            validation = losses()
        if snapshots.are_due(run.done, at_the_end=True):
            take_snapshot()
        return validation


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
    patience, stop_after = recipe.optimisation.patience, recipe.optimisation.stop_after
    return patience is not None and stop_after is None and has_stopped_learning(validations, patience)


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
    fields = recipe.fields().items()
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in fields}
