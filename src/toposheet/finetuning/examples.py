"""The labelled examples of a GLUE task, from local files or from the hub."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toposheet.errors import NotFound, UserError
from toposheet.evaluation.rows import FORMATS, rows
from toposheet.files import path_of
from toposheet.finetuning.glue import GLUE, GlueTask
from toposheet.hub import snapshot
from toposheet.subject.tokens import check_text
from toposheet.wording import either

HUB = "nyu-mll/glue"
TRAIN = "train"


@dataclass(frozen=True)
class Example:
    """One or two texts with their label.

    Args:
        texts: The texts.
        label: The number of the label, or the number itself in a regression.
        name: Name of the example in its split: the value of the column `idx`, or else its number, from 0.
        where: The file and the line, for error messages.
    """

    texts: tuple[str, ...]
    label: float
    name: str
    where: str


@dataclass(frozen=True, eq=False)
class Examples:
    """The examples of a task.

    Args:
        train: The examples for the training.
        validation: The examples of each split with which a model is scored: {name of the split: examples}.
    """

    train: list[Example]
    validation: dict[str, list[Example]]


def read_examples(task: str, path: str | Path | None = None) -> Examples:
    """Return the examples of a task.

    The files have the schema of the hub: `train` and `validation` (mnli: `validation_matched` and
    `validation_mismatched`), each as `.parquet`, `.jsonl`, `.csv` or `.tsv`, or as several files with the names of the
    hub (`train-00000-of-00001.parquet`). Their columns are the texts of the task, `label`, and perhaps `idx`.

    Args:
        task: The name of the task.
        path: The folder of these files, or a folder that holds it under the name of the task. None: the folder
            `glue/TASK` in `$TOPOSHEET_DATA`, or else the hub.

    Raises:
        NotFound: There is no such folder, a split is missing, or the hub cannot be reached.
        UserError: A row lacks a text or a label. The message names the file and the line.
    """
    folder = _found(task) if path is None else _folder(path_of(path), task)
    entry = GLUE[task]
    train, *validations = (_of_split(entry, folder, split) for split in (TRAIN, *entry.validations))
    return Examples(train, dict(zip(entry.validations, validations, strict=True)))


def check_folders(tasks: Sequence[str], path: Path | None) -> None:
    """Refuse a folder that cannot hold the examples of tasks. Without a folder, nothing is checked.

    Raises:
        NotFound: The folder, or a split in it, is missing.
        UserError: The folder does not say which examples are those of which task.
    """
    if path is None:
        return
    for task in dict.fromkeys(tasks):
        folder = _folder(path_of(path), task)
        if folder == path_of(path) and len(set(tasks)) > 1:
            raise NotFound(f"{path} has no folder {task}: for several tasks, give a folder with a folder for each task")
        for split in (TRAIN, *GLUE[task].validations):
            _files(folder, split)


def _folder(path: Path, task: str) -> Path:
    if not path.is_dir():
        raise NotFound(f"{path} {'is no folder' if path.exists() else 'does not exist'}: give the folder of {task}")
    return path / task if (path / task).is_dir() else path


def _found(task: str) -> Path:
    """Return the folder of a task in `$TOPOSHEET_DATA`, or else a download from the hub."""
    if data := os.environ.get("TOPOSHEET_DATA"):
        folder = path_of(data) / "glue" / task
        if folder.is_dir():
            return folder
    try:
        return snapshot(HUB, [f"{task}/*"], dataset=True) / task
    except NotFound as error:
        raise NotFound(f"{error}; the files of {task} can also be given with --path DIR (in Python path=DIR)") from None


def _files(folder: Path, split: str) -> list[Path]:
    """Return the files of a split.

    Raises:
        NotFound: There are none.
        UserError: They have several formats.
    """
    name = re.compile(rf"{split}(-\d+-of-\d+)?({'|'.join(map(re.escape, FORMATS))})")
    files = sorted(file for file in folder.glob(f"{split}*") if name.fullmatch(file.name))
    if not files:
        names = either(split + ending for ending in FORMATS)
        raise NotFound(f"{folder} has no {split} examples: give a folder with {names}, in the schema of {HUB}")
    if len(kinds := {file.suffix for file in files}) > 1:
        raise UserError(f"{folder} has {split} examples in several formats ({', '.join(sorted(kinds))}): keep one")
    return files


def _of_split(task: GlueTask, folder: Path, split: str) -> list[Example]:
    """Return the examples of a split, from all its files."""
    examples, files = [], _files(folder, split)
    for file in files:
        for where, row in rows(file):
            examples.append(_example(task, row, where, len(examples)))
    if not examples:
        raise UserError(f"{files[0]} has no examples: copy the file again")
    return examples


def _example(task: GlueTask, row: Any, where: str, number: int) -> Example:
    """Return the example of a row.

    Raises:
        UserError: The row lacks a text or a label.
    """
    for column in (*task.columns, "label"):
        if not isinstance(row, Mapping) or row.get(column) is None:
            wanted = ", ".join((*task.columns, "label"))
            raise UserError(f"{where} has no {column!r}: the file must have the columns {wanted}")
    texts = tuple(row[column] for column in task.columns)
    for column, text in zip(task.columns, texts, strict=True):
        check_text(text, lambda: where)
        if not text.strip():
            raise UserError(f"{where} has an empty {column!r}: give a text, or leave the row out")
    return Example(texts, _label(task, row["label"], where), str(row.get("idx", number)), where)


def _label(task: GlueTask, value: Any, where: str) -> float:
    try:
        label = float(value)
    except (TypeError, ValueError):
        label = math.nan
    if label == -1:
        raise UserError(
            f"{where} has the label -1, which means that it has none, as in the test files of GLUE: give labelled "
            "examples, or remove the row"
        )
    if task.is_regression:
        if not 0 <= label <= 5:
            raise UserError(f"{where} has the label {value!r}: it must be a number from 0 to 5")
        return label
    if label not in range(len(task.labels)):
        names = ", ".join(f"{number} ({name})" for number, name in enumerate(task.labels)) or "a number"
        raise UserError(f"{where} has the label {value!r}: it must be {names}")
    return label
