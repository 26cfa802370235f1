"""The fine-tuning of a subject on a task of GLUE, with the objective kept on."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedModel

from toposheet.architectures.mode import in_mode
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.finetuning.classifier import Classifier, new_layer
from toposheet.finetuning.examples import Example, Examples, read_examples
from toposheet.finetuning.folder import (
    CLASSIFIER,
    FINETUNINGS,
    Tables,
    claim_folder,
    read_layer,
    read_plan,
    read_tables,
    write_finished,
)
from toposheet.finetuning.glue import GlueTask, glue_task
from toposheet.finetuning.scores import (
    SCORE,
    baseline_of,
    prediction_rows,
    predictions,
    predictions_table,
    scores,
)
from toposheet.finetuning.tokens import TokenisedExamples, tokens_of
from toposheet.finetuning.training import Trained, train_classifier
from toposheet.progress import SILENT, Progress
from toposheet.recipes import RECIPE_FILE, Objective, Recipe, stored_form, write_recipe
from toposheet.recipes.finetuning import Finetuning
from toposheet.subject import Subject, load, save
from toposheet.subject.batches import batches_by_length
from toposheet.subject.checkpoint import check_can_be_saved
from toposheet.train.model import recipe_for, with_weights
from toposheet.train.preconditions import check_learner, check_objective
from toposheet.train.run import CHECKPOINTS
from toposheet.wording import interval, number

_BATCH = 64  # examples in one forward pass of an evaluation


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A subject that was fine-tuned on a task of GLUE, with its classifier and its scores.

    Args:
        subject: The fine-tuned subject. Its language-model head is the one from before the fine-tuning, unless it
            shares its weights with the embeddings.
        layer: The linear layer that classifies.
        plan: The settings of the fine-tuning.
        items: The prediction for each validation example, the columns of `predictions_table`.
        scores: The metrics, the columns of `SCORES`.
        finetunings: One row: the losses on validation examples before and after, the columns of `FINETUNINGS`.
    """

    subject: Subject
    layer: nn.Linear
    plan: Mapping[str, Any]
    items: pd.DataFrame
    scores: pd.DataFrame
    finetunings: pd.DataFrame

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.plan["task"]

    def answers(
        self, subject: Subject | None = None, *, path: str | Path | None = None, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Return what the classifier predicts for each validation example if another subject computes its input.

        Args:
            subject: The subject, such as the fine-tuned one with a lesion. None: the fine-tuned one.
            path: The folder of the examples, see `finetune`. None: the folder of the fine-tuning.
            progress: A function that is called with the number of examples done so far. None: no calls.

        Returns:
            A row for each example, the columns of `predictions_table`. `toposheet.glue_scores` gives their scores.

        Raises:
            UserError: The examples cannot be read, or the subject has another width.

        Example:
            lesioned = ts.lesion(finetuned.subject, ts.Disc("model.layers.2.mlp", 8, 8, 3))
            ts.glue_scores(finetuned.answers(lesioned))
        """
        subject = self.subject if subject is None else subject
        check_type("subject", subject, Subject, "a toposheet.Subject, such as a lesioned finetuned.subject")
        with subject.running() as model:
            width = subject.architecture.head(model).weight.shape[1]
        if width != self.layer.in_features:
            raise UserError(
                f"{subject.name} has a width of {width} units, but the classifier reads {self.layer.in_features}: give "
                "the fine-tuned subject, or one with interventions on it"
            )
        entry, examples = glue_task(self.task), read_examples(self.task, self.plan["path"] if path is None else path)
        splits = examples.validation
        tokens = _tokens(subject, [example for of_split in splits.values() for example in of_split], self.plan)
        outputs = _outputs(subject, self.layer, tokens, entry.is_regression, progress or SILENT)
        baseline = baseline_of(entry, np.array([example.label for example in examples.train]))
        name = self.plan["model"] + subject.name.removeprefix(subject.intact.name)
        items = _items(name, self.task, splits, predictions(entry, outputs), baseline)
        same = ["split", "item", "label"]
        if path is None and not items[same].equals(self.items[same]):
            raise UserError(
                f"the examples of {self.task} have changed since the fine-tuning: give the folder of those (path)"
            )
        return items

    def __str__(self) -> str:
        """Return the score of the task in words, with its interval and its baseline."""
        lines = []
        for row in self.scores[self.scores["metric"] == SCORE].to_dict("records"):
            lines.append(
                f"{row['model']}, {row['task']} ({row['split']}, {row['n_items']:,} examples): "
                f"{number(row['value'], 3)}, 95 % interval {interval(row['low'], row['high'])}, "
                f"baseline {number(row['baseline'])}"
            )
        (losses,) = self.finetunings.to_dict("records")
        before, after = number(losses["spatial_loss_before"], 3), number(losses["spatial_loss"], 3)
        return "\n".join([*lines, f"spatial loss {before} before, {after} after (alpha {losses['alpha']:g})"])


def finetune(
    subject: Subject,
    task: str,
    out: str | Path,
    *,
    path: str | Path | None = None,
    settings: Finetuning | None = None,
    progress: Progress | None = None,
) -> Finetuned:
    """Fine-tune a subject on a task of GLUE, with the objective kept on, and score it on the validation examples.

    A linear layer reads the last hidden state at the last token of an example. All weights are trained with
    task loss + alpha * spatial loss. The result is a model folder that `toposheet.load` opens.

    The validation examples also decide when the fine-tuning ends and which weights are kept, because GLUE keeps the
    labels of its test examples to itself. So scores are slightly too high, as all scores on validation examples are.
    The intervals are over examples. They say nothing about other seeds of the fine-tuning.

    If a fine-tuning is stopped, call it again with the same arguments to go on. A finished one is only read.

    Args:
        subject: The subject. It is not changed.
        task: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte or wnli.
        out: The model folder of the fine-tuned subject.
        path: The folder of the examples: files `train` and `validation` (mnli: `validation_matched` and
            `validation_mismatched`) as `.parquet`, `.jsonl`, `.csv` or `.tsv`, in the schema of the hub. Or a folder
            that holds this folder under the name of the task. None: the folder `glue` in `$TOPOSHEET_DATA`, or else
            the hub (`nyu-mll/glue`).
        settings: How the subject is fine-tuned. None: as in the published code of TopoLM, see `Finetuning`.
        progress: A function that is called with the number of updates done so far. None: no calls.

    Returns:
        The fine-tuned subject, its predictions and its scores. The folder holds them as well.

    Raises:
        UserError: There is no such task, its examples cannot be read, the subject cannot be fine-tuned, or the folder
            holds something else.
        NotFound: The examples are not found.
        RunError: The fine-tuning diverged, or the disk is full.

    Example:
        finetuned = ts.finetune(ts.load("small"), "rte", "small-rte", path="glue/rte")
        print(finetuned)
    """
    check_type("subject", subject, Subject, "what toposheet.load or toposheet.attach returns")
    check_type("task", task, str, "the name of a GLUE task, such as 'rte'")
    check_type("settings", settings, (Finetuning, type(None)), "a toposheet.Finetuning")
    entry, settings, out, progress = glue_task(task), settings or Finetuning(), path_of(out, "out"), progress or SILENT
    check_learner(subject)
    check_can_be_saved(subject)
    recipe = _recipe_of(subject, settings)
    check_objective(subject, recipe)
    progress("reading the examples", 0, 1)
    examples = read_examples(task, path)
    plan = {
        "model": subject.name, "task": task, "recipe": stored_form(recipe), "dropout": settings.dropout,
        "separator": settings.separator, "bos": settings.bos, 
        "path": None if path is None else str(path_of(path).resolve()),
    }  # fmt: skip
    train = _tokens(subject, examples.train, plan)
    validation = _tokens(subject, [one for of_split in examples.validation.values() for one in of_split], plan)
    plan["examples"] = hashlib.sha256((train.checksum + validation.checksum).encode()).hexdigest()
    claim_folder(out, plan)
    if not (out / CLASSIFIER).is_file():
        write_recipe(out / RECIPE_FILE, recipe)
        copied = Subject(copy.deepcopy(subject.model), subject.topography, subject.tokenizer, source=subject.source)
        layer = new_layer(copied.model, entry.n_outputs, settings.seed)
        with _dropout(copied.model, settings.dropout):
            trained = train_classifier(
                copied, layer, train, validation, recipe, out, regression=entry.is_regression,
                checksum=plan["examples"], progress=progress,
            )  # fmt: skip
        _write(out, plan, copied, trained, entry, examples, recipe, train.n_shortened + validation.n_shortened)
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return load_finetuned(out)


def load_finetuned(folder: str | Path) -> Finetuned:
    """Return the fine-tuned subject in a folder, with its classifier and its scores.

    Args:
        folder: The folder that `finetune` wrote.

    Raises:
        NotFound: The folder holds no fine-tuning.
        UserError: The fine-tuning is not finished, or a file is damaged.

    Example:
        finetuned = ts.load_finetuned("small-rte")
    """
    folder = path_of(folder)
    plan = read_plan(folder)
    layer = read_layer(folder)
    tables = read_tables(folder, plan["task"])
    return Finetuned(load(folder), layer, plan, tables.items, tables.scores, tables.finetunings)


def _recipe_of(subject: Subject, settings: Finetuning) -> Recipe:
    """Return the recipe of the fine-tuning of a subject, with the objective of its training."""
    trained = subject.recipe
    recipe = settings.recipe(Objective() if trained is None else trained.objective)
    context = recipe.model.context if subject.context is None else subject.context
    return recipe_for(subject, replace(recipe, model=replace(recipe.model, context=context)))


def _tokens(subject: Subject, examples: list[Example], plan: Mapping[str, Any]) -> TokenisedExamples:
    """Return the tokens of examples. Training, validation and later evaluations all call this."""
    return tokens_of(subject, examples, separator=plan["separator"], bos=plan["bos"])


def _write(
    out: Path,
    plan: Mapping[str, Any],
    subject: Subject,
    trained: Trained,
    task: GlueTask,
    examples: Examples,
    recipe: Recipe,
    n_shortened: int,
) -> None:
    """Write the fine-tuned subject, its classifier and its tables."""
    inside = "model."
    state = {name: value for name, value in trained.classifier.state_dict().items() if name.startswith(inside)}
    save(out, with_weights(subject, {name.removeprefix(inside): value for name, value in state.items()}))
    baseline = baseline_of(task, np.array([example.label for example in examples.train]))
    predicted = predictions(task, trained.outputs)
    items = _items(plan["model"], plan["task"], examples.validation, predicted, baseline)
    before, after = (np.mean(list(one.spatial_losses.values())) for one in (trained.before, trained.after))
    row = {
        "model": plan["model"], "task": plan["task"], "alpha": recipe.objective.alpha, "n_train": len(examples.train),
        "n_shortened": n_shortened, "updates": trained.updates, "kept_update": trained.kept,
        "stopped_early": trained.stopped_early, "task_loss_before": trained.before.task_loss,
        "task_loss": trained.after.task_loss, "spatial_loss_before": before, "spatial_loss": after,
    }  # fmt: skip
    tables = Tables(items, scores(items), FINETUNINGS.frame([row]))
    write_finished(out, trained.classifier.layer, plan["task"], tables)


def _items(
    model: str, task: str, splits: Mapping[str, list[Example]], predicted: np.ndarray, baseline: float
) -> pd.DataFrame:
    """Return the table of predictions.

    Args:
        model: Name of the model.
        task: Name of the task.
        splits: The examples of each split.
        predicted: The predictions for all of them, in order.
        baseline: What a model without knowledge predicts.
    """
    rows, first = [], 0
    for split, of_split in splits.items():
        rows += prediction_rows(model, task, split, of_split, predicted[first : first + len(of_split)], baseline)
        first += len(of_split)
    return predictions_table(task).frame(rows)


def _outputs(
    subject: Subject, layer: nn.Linear, tokens: TokenisedExamples, regression: bool, progress: Progress
) -> np.ndarray:
    """Return the outputs of a classifier for examples. The interventions of the subject act."""
    outputs, n_done = np.zeros((len(tokens), layer.out_features)), 0
    progress("classifying examples", 0, len(tokens))
    with subject.running() as model, in_mode(model, training=False), torch.inference_mode():
        layer = copy.deepcopy(layer).to(model.device)
        classifier = Classifier(model, layer, torch.from_numpy(tokens.labels).float().to(model.device), regression)
        for numbers in batches_by_length([len(ids) for ids in tokens.ids], _BATCH, equal=False):
            outputs[numbers] = classifier.outputs(tokens.rows(numbers).to(model.device)).float().cpu().numpy()
            n_done += len(numbers)
            progress("classifying examples", n_done, len(tokens))
    return outputs


@contextmanager
def _dropout(model: PreTrainedModel, probability: float) -> Generator[None, None, None]:
    """Set the probability of all dropout of a model inside this context, and its own values afterwards.

    Layers of dropout keep it as `p`. Other modules keep it as a number (`attention_dropout` in Llama, `dropout` in
    OPT), or read it from the configuration (Falcon).
    """
    owners: list[Any] = [model.config, *model.modules()]
    before = [
        (owner, name, value)
        for owner in owners
        for name, value in vars(owner).items()
        if isinstance(value, float) and _is_dropout(owner, name)
    ]
    for owner, name, _ in before:
        setattr(owner, name, probability)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _is_dropout(owner: Any, name: str) -> bool:
    return "dropout" in name or "pdrop" in name or (name == "p" and isinstance(owner, nn.Dropout))
