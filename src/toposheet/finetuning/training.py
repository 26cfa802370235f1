"""The training of a classifier: it minimises task loss + alpha * spatial loss, and keeps its best weights."""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor, nn

from toposheet.errors import RunError, UserError
from toposheet.fields import differences
from toposheet.finetuning.classifier import Classifier
from toposheet.finetuning.tokens import TokenisedExamples
from toposheet.progress import Progress
from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.subject.batches import batches_by_length
from toposheet.topography import NotFiniteError, Topography, spatial_losses
from toposheet.train.checkpoints import Checkpoint as Stored
from toposheet.train.checkpoints import newest_checkpoint, read_checkpoint, save_checkpoint
from toposheet.train.hardware import machine
from toposheet.train.log import METRICS, Metrics
from toposheet.train.loop import full_disk_reported
from toposheet.train.optimizer import optimizers
from toposheet.train.parallel import this_process
from toposheet.train.run import CHECKPOINTS
from toposheet.train.signals import StopRequest, stop_when_asked
from toposheet.train.update import Updater
from toposheet.train.validation import Validation, has_stopped_learning
from toposheet.wording import counted

_SPATIAL_BATCHES = 8  # of a validation, in which the spatial loss is measured
_BEST = "best."


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier after its training: it has the weights with the lowest validation loss.

    Args:
        classifier: The classifier, on the CPU.
        outputs: Its outputs for the validation examples.
        before: The losses on validation examples before the training.
        after: The losses with the weights that are kept.
        updates: Number of updates that were made.
        kept: Number of updates after which the kept weights were reached.
        stopped_early: Whether the training ended because the validation loss increased.
    """

    classifier: Classifier
    outputs: np.ndarray
    before: Validation
    after: Validation
    updates: int
    kept: int
    stopped_early: bool


@dataclass
class _State:
    """The state of a training.

    Args:
        done: Number of finished updates.
        validations: The task loss of each validation. The first one is before the training.
        best: The weights with the lowest of them, by name.
        seconds: Seconds of the training so far.
    """

    done: int
    validations: list[float]
    best: dict[str, Tensor]
    seconds: float


def train_classifier(
    subject: Subject,
    layer: nn.Linear,
    train: TokenisedExamples,
    validation: TokenisedExamples,
    recipe: Recipe,
    out: Path,
    *,
    regression: bool,
    checksum: str,
    progress: Progress,
) -> Trained:
    """Train the model of a subject, and a layer on top of it. A stopped training continues from its last checkpoint.

    Args:
        subject: The subject. The weights of its model change.
        layer: The linear layer. Its weights change.
        train: The examples for the training.
        validation: The examples for the validation.
        recipe: The recipe.
        out: The folder for `metrics.jsonl` and the checkpoints.
        regression: Whether labels are numbers.
        checksum: A hash of the examples.
        progress: A function that is called with the number of updates done so far.

    Raises:
        UserError: There are several processes, or all checkpoints are damaged.
        RunError: A loss or a gradient became nan or inf, or the disk is full. The message names the last checkpoint.
        KeyboardInterrupt: The user interrupted the training. Its state is saved.
        SystemExit: The process received SIGTERM. Its state is saved, and the exit code is 0.
    """
    if (processes := this_process().num_processes) > 1:
        raise UserError(f"there are {processes} processes, but a fine-tuning has one: start it without torchrun")
    accelerator = Accelerator()
    labels = torch.from_numpy(np.concatenate([train.labels, validation.labels])).float()
    with ExitStack() as stack:
        model = stack.enter_context(subject.running())
        activations = stack.enter_context(subject.topography.record(model))
        task = Classifier(
            model, layer, labels, regression, precision=recipe.optimisation.precision, activations=activations,
            skip_first=recipe.objective.skip_first,
        )  # fmt: skip
        task.to(accelerator.device)
        stack.callback(lambda: task.to("cpu").eval())
        batches = _validation_batches(validation, recipe, first=len(train))
        training = _Training(task, subject.topography, activations, train, batches, recipe, accelerator, out, checksum)
        return training.run(progress)


class _Training:
    def __init__(
        self,
        task: Classifier,
        topo: Topography,
        activations: Any,
        examples: TokenisedExamples,
        validation: Sequence[tuple[np.ndarray, Tensor]],
        recipe: Recipe,
        accelerator: Accelerator,
        out: Path,
        checksum: str,
    ) -> None:
        self._task, self._topo, self._activations, self._examples = task, topo, activations, examples
        self._validation, self._recipe, self._accelerator = validation, recipe, accelerator
        self._folder, self._checksum = out / CHECKPOINTS, checksum
        self._out, self._machine = out, machine(accelerator.device, 1)
        self._optimizers = optimizers(task, recipe)
        self._good = "none was saved yet"

    def run(self, progress: Progress) -> Trained:
        """Make all updates, and return the classifier with its best weights."""
        recipe, patience = self._recipe, self._recipe.optimisation.patience
        assert patience is not None, "a fine-tuning has an early end"
        n_updates = recipe.optimisation.updates
        progress("validating", 0, n_updates)
        before, _ = self._validate()
        state = self._continued() or _State(0, [before.task_loss], _copied(self._task.state_dict()), 0.0)
        metrics = Metrics(self._out / METRICS, state.done, self._accelerator)
        if state.done == 0:
            metrics.write(0, **before.as_row())
        update = Updater(
            self._task.model, self._task, self._optimizers, self._topo, self._activations, recipe, self._accelerator
        )
        self._task.train()
        with stop_when_asked() as stop_request, full_disk_reported(lambda: self._good):
            began = time.monotonic() - state.seconds
            while state.done < n_updates and not has_stopped_learning(state.validations, patience):
                try:
                    self._update(update, state, metrics, progress)
                except (RunError, NotFiniteError) as error:
                    raise RunError(
                        f"update {state.done + 1}: {error} (last checkpoint: {self._good}): fine-tune into another "
                        "folder, with a lower learning rate or a lower alpha"
                    ) from None
                state.seconds = time.monotonic() - began
                if state.done % recipe.bookkeeping.validate_every == 0 or state.done == n_updates:
                    self._save(state)
                self._stop_if_asked(stop_request, state)
        self._task.load_state_dict(state.best)
        after, outputs = self._validate()
        kept = min(int(np.argmin(state.validations)) * recipe.bookkeeping.validate_every, state.done)
        return Trained(self._task, outputs, before, after, state.done, kept, state.done < n_updates)

    def _update(self, update: Updater, state: _State, metrics: Metrics, progress: Progress) -> None:
        """Make one update. If a validation is due, make it too, and keep the weights if they are the best so far.

        Raises:
            RunError: A loss or a gradient is nan or inf. The state is as it was before.
            NotFiniteError: Activations in the validation are nan or inf.
        """
        recipe, done = self._recipe, state.done + 1
        measured = update(state.done, self._batch(state.done).to(self._accelerator.device))
        validation: Validation | None = None
        if done % recipe.bookkeeping.validate_every == 0 or done == recipe.optimisation.updates:
            validation, _ = self._validate()
        row = {"task_loss": measured.task_loss, "gradient_norm": measured.gradient_norm}
        if measured.spatial_losses:
            row["spatial_loss"] = float(np.mean(list(measured.spatial_losses.values())))
        metrics.write(done, **row)
        if validation is not None:
            if validation.task_loss < min(state.validations):
                state.best = _copied(self._task.state_dict())
            state.validations.append(validation.task_loss)
            metrics.write(done, **validation.as_row())
        state.done = done
        progress(f"task loss {measured.task_loss:.3f}, update", done, recipe.optimisation.updates)

    def _stop_if_asked(self, request: StopRequest, state: _State) -> None:
        if not request.signal:
            return
        self._save(state)
        if request.signal == signal.SIGTERM:
            said = "the fine-tuning is stopped and saved after update %d; run the same command again to continue"
            logging.getLogger(__name__).warning(said, state.done)
            sys.exit(0)
        raise KeyboardInterrupt

    def _batch(self, update: int) -> Int[Tensor, "micro_batches batch columns"]:
        """Return the examples of an update."""
        optimisation = self._recipe.optimisation
        numbers = batch_of(update, optimisation.batch, len(self._examples), self._recipe.seed)
        rows = self._examples.rows(numbers)
        return rows.view(optimisation.micro_batches, -1, rows.shape[1])

    @torch.no_grad()
    def _validate(self) -> tuple[Validation, Float[np.ndarray, "examples outputs"]]:
        """Return the losses on the validation examples, and the outputs in the order of the examples.

        The spatial loss is the mean over 8 batches that are spread over the lengths of the examples.
        """
        was_training, objective = self._task.training, self._recipe.objective
        self._task.eval()
        n = sum(len(numbers) for numbers, _ in self._validation)
        measured = set(np.linspace(0, len(self._validation) - 1, _SPATIAL_BATCHES).astype(int).tolist())
        outputs, loss, spatial = np.zeros((n, self._task.layer.out_features)), 0.0, []
        for index, (numbers, rows) in enumerate(self._validation):
            rows = rows.to(self._accelerator.device)
            of_rows = self._task.outputs(rows)
            loss += float(self._task.losses(rows, of_rows).double().sum()) / n
            outputs[numbers] = of_rows.float().cpu().numpy()
            if index in measured:
                losses = spatial_losses(
                    dict(self._activations), self._topo, "all", objective.radius, objective.metric, objective.window,
                    skip_first=objective.skip_first,
                )  # fmt: skip
                spatial.append([float(value) for value in losses.values()])
            self._activations.clear()
        self._task.train(was_training)
        if not math.isfinite(loss):
            raise RunError("the loss on validation examples is nan or inf")
        means = np.mean(spatial, axis=0).tolist()
        return Validation(loss, dict(zip(self._topo.sheets, means, strict=True))), outputs

    def _save(self, state: _State) -> None:
        weights = {**self._task.state_dict(), **{_BEST + name: value for name, value in state.best.items()}}
        of_optimizers = [optimizer.state_dict() for optimizer in self._optimizers]
        save_checkpoint(
            self._folder,
            Stored(state.done, self._checksum, self._machine, state.validations, state.seconds, weights, of_optimizers),
        )
        self._good = f"{self._folder}, after update {state.done}"

    def _continued(self) -> _State | None:
        """Load the last checkpoint, and return its state. None: there is none."""
        path = newest_checkpoint(self._folder)
        if path is None:
            return None
        stored = read_checkpoint(path)
        if changes := differences(stored.machine, self._machine):
            logging.getLogger(__name__).warning(
                "the fine-tuning made %s on another machine (%s), which rounds differently",
                counted(stored.update, "update"), "; ".join(changes),
            )  # fmt: skip
        best = {name.removeprefix(_BEST): value for name, value in stored.model.items() if name.startswith(_BEST)}
        self._task.load_state_dict({n: value for n, value in stored.model.items() if not n.startswith(_BEST)})
        for optimizer, values in zip(self._optimizers, stored.optimizers, strict=True):
            optimizer.load_state_dict(values)
        self._good = f"{self._folder}, after update {stored.update}"
        return _State(stored.update, stored.validations, best, stored.seconds)


def batch_of(update: int, size: int, n: int, seed: int) -> Int[np.ndarray, " batch"]:
    """Return the numbers of the examples of an update. All examples come once, in random order, before one comes again.

    Args:
        update: The number of the update, counted from 0.
        size: Number of examples in an update.
        n: Number of examples.
        seed: Seed of the order.
    """
    first, numbers = update * size, []
    while len(numbers) < size:
        epoch, place = divmod(first + len(numbers), n)
        numbers += np.random.default_rng([seed, epoch]).permutation(n)[place : place + size - len(numbers)].tolist()
    return np.array(numbers)


def _validation_batches(examples: TokenisedExamples, recipe: Recipe, first: int) -> list[tuple[np.ndarray, Tensor]]:
    """Return validation examples in batches of similar length: their numbers, and what the classifier reads."""
    lengths = [len(ids) for ids in examples.ids]
    batches = batches_by_length(lengths, recipe.optimisation.micro_batch_size, equal=False)
    return [(numbers, examples.rows(numbers, first)) for numbers in batches]


def _copied(state: dict[str, Any]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
