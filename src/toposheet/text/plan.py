"""The plan of a text preparation: the request, and the tasks into which the work is divided.

The plan is stored in the output folder until the text is complete.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.files import path_of, write_file
from toposheet.settings import check_between_0_and_1, check_vocabulary
from toposheet.text.documents import SOURCES, TRAIN, File, Piece, default_tokenizer, read_documents
from toposheet.text.shards import SPLITS
from toposheet.text.split import is_held_out

WORK = ".work"
PLAN = f"{WORK}/plan.json"
TASK_BYTES, MAX_TASKS = 2**24, 1024


@dataclass(frozen=True)
class Preparation:
    """Everything that decides which tokens are written.

    Args:
        sources: Names of known sources (`builtin`, `fineweb-edu`), or paths of files and folders.
        tokenizer: A folder or a hub id. Or `train`: a byte-level BPE tokenizer is trained on the text. None: if the
            only source is a known source that names a tokenizer, this tokenizer (`train` for `builtin`); else `gpt2`.
        vocabulary: Number of different tokens of a tokenizer that is trained. None: 4096.
        validation_fraction: Expected fraction of the documents that is held out, between 0 and 1.
        seed: Seed of the choice of the held-out documents.
        text_column: Name of the field or column that holds the text of a record.
        licence: Licence of the user's files. It is written to the manifest.

    Raises:
        UserError: A value is not allowed. The message names the value.
    """

    sources: tuple[str, ...]
    tokenizer: str | None = None
    vocabulary: int | None = None
    validation_fraction: float = 0.0005
    seed: int = 0
    text_column: str = "text"
    licence: str | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError(f"no source is given: give {', '.join(SOURCES)}, or files and folders of text")
        object.__setattr__(self, "sources", tuple(_without_tilde(source) for source in self.sources))
        if self.tokenizer is None:
            object.__setattr__(self, "tokenizer", default_tokenizer(self.sources))
        object.__setattr__(self, "tokenizer", _without_tilde(str(self.tokenizer)))
        if self.tokenizer == TRAIN and self.vocabulary is None:
            object.__setattr__(self, "vocabulary", 4096)
        if self.tokenizer != TRAIN and self.vocabulary is not None:
            raise UserError(
                f"vocabulary is {self.vocabulary}, but the tokenizer {self.tokenizer} already has a vocabulary: leave "
                "vocabulary out, or train a new tokenizer with --tokenizer train"
            )
        if self.vocabulary is not None:
            check_vocabulary(self.vocabulary)
        check_between_0_and_1("validation_fraction", self.validation_fraction)
        if not 0 <= self.seed < 2**64:
            raise UserError(f"seed is {self.seed}: it must be at least 0 and below 2**64")

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Preparation:
        """Return the preparation that is stored in a manifest or in a plan."""
        values: dict[str, Any] = {**stored, "sources": tuple(stored["sources"])}
        return cls(**values)

    def differences(self, other: Preparation) -> list[str]:
        """Return a text `field is STORED there, but REQUESTED now` for each field that differs."""
        return differences(vars(self), vars(other))


def _without_tilde(name: str) -> str:
    """Return the name of a source or a tokenizer; a path in the home folder is written out."""
    return str(path_of(name)) if name.startswith("~") else name


@dataclass(frozen=True)
class Executor:
    """The place where the tasks run. It does not change the tokens.

    Args:
        kind: `local`: processes on this machine. `slurm` or `ray`: a cluster.
        workers: Number of tasks that run at the same time. None: the number of CPU cores of this machine, or as many as
            the cluster allows.
        cpus: Number of CPU cores that each task requests on a cluster.
        slurm_partition: Slurm partition in which the tasks run.
        slurm_time: Time limit of one task on Slurm, as HH:MM:SS.

    Raises:
        UserError: There is less than one worker or core, or Slurm has no partition.
    """

    kind: Literal["local", "slurm", "ray"] = "local"
    workers: int | None = None
    cpus: int = 1
    slurm_partition: str | None = None
    slurm_time: str = "24:00:00"

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"workers is {self.workers}: it must be at least 1")
        if self.cpus < 1:
            raise UserError(f"cpus is {self.cpus}: it must be at least 1")
        if self.kind == "slurm" and self.slurm_partition is None:
            raise UserError(
                "the Slurm executor needs a partition: give --slurm-partition NAME (the command sinfo lists the names)"
            )


HERE = Executor()


@dataclass(frozen=True)
class Plan:
    """A preparation and its tasks. Each task reads some files and writes at most one shard for each split.

    Args:
        preparation: The request.
        tasks: The files of each task. The files keep their order over all tasks, so that the text does not depend on
            the division into tasks.
        end_of_text: Id of the token that ends a document.
        vocabulary: Number of different tokens.
        left_out: The reason for each path that is not read.
    """

    preparation: Preparation
    tasks: tuple[tuple[File, ...], ...]
    end_of_text: int
    vocabulary: int
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def dtype(self) -> str:
        """The integer type of a stored token."""
        return "uint16" if self.vocabulary <= 2**16 else "uint32"

    @property
    def files(self) -> list[File]:
        """The files of all tasks, in order."""
        return [file for task in self.tasks for file in task]

    def save(self, out: Path) -> None:
        """Write the plan to the work folder inside `out`."""
        write_file(out / PLAN, json.dumps(dataclasses.asdict(self)) + "\n")

    @classmethod
    def load(cls, out: Path) -> Plan:
        """Return the plan of the unfinished work in `out`."""
        stored = json.loads((out / PLAN).read_text(encoding="utf-8"))
        tasks = tuple(tuple(File(*file) for file in task) for task in stored["tasks"])
        return cls(**stored | {"preparation": Preparation.of(stored["preparation"]), "tasks": tasks})


def record_path(out: Path, rank: int) -> Path:
    """Return the path of the file in which a finished task lists its shards."""
    return out / WORK / "records" / f"{rank:05d}.json"


def cut(files: Sequence[File]) -> tuple[tuple[File, ...], ...]:
    """Return the tasks: groups of neighbouring files.

    A task holds at least 16 MiB, except the last one. If that would give more than about 1,024 tasks, the tasks are
    larger.
    """
    enough = max(TASK_BYTES, math.ceil(sum(file.size for file in files) / MAX_TASKS))
    tasks: list[tuple[File, ...]] = []
    task: list[File] = []
    size = 0
    for file in files:
        task.append(file)
        size += file.size
        if size >= enough:
            tasks.append(tuple(task))
            task, size = [], 0
    return (*tasks, tuple(task)) if task else tuple(tasks)


def read_split(preparation: Preparation, files: Iterable[File]) -> Iterator[tuple[Piece, str | None]]:
    """Yield each piece of each document in the files, and the split of the document.

    The split is `train` or `validation`, or None for a record without text.

    Raises:
        SourceError: A file is damaged. The message names the file and the line.
    """
    split, begun = None, False
    for file in files:
        for piece in read_documents(file, preparation.text_column):
            if not begun:
                held_out = is_held_out(piece.text, preparation.validation_fraction, preparation.seed)
                split = None if piece.ends and not piece.text.strip() else SPLITS[held_out]
            yield piece, split
            begun = not piece.ends
