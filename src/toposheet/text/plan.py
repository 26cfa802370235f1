"""What is to be prepared, and how the work is cut into tasks: kept in the folder until the text is complete."""

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
from toposheet.files import write_file
from toposheet.settings import check_between_0_and_1, check_vocabulary
from toposheet.text.documents import SOURCES, TRAIN, File, Piece, default_tokenizer, read_documents
from toposheet.text.shards import SPLITS
from toposheet.text.split import is_held_out

WORK = ".work"
PLAN = f"{WORK}/plan.json"
TASK_BYTES, MAX_TASKS = 2**24, 1024


@dataclass(frozen=True)
class Preparation:
    """All that decides which tokens a source gives.

    Args:
        sources: Names of sources (`builtin`, `fineweb-edu`), files, folders.
        tokenizer: A folder, an id of the hub, or `train`: a byte-level BPE of the text itself. None: the one that a
            single named source declares (`train` for `builtin`), else `gpt2`.
        vocabulary: Number of tokens of a tokenizer that is trained. None: 4096.
        validation_fraction: How large a part of the documents is held out.
        seed: Decides which.
        text_column: Where records have their text.
        licence: Of files of one's own; recorded.

    Raises:
        UserError: a value that no preparation can have.
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
            raise UserError(f"no source is given: {', '.join(SOURCES)}, or files and folders of text")
        if self.tokenizer is None:
            object.__setattr__(self, "tokenizer", default_tokenizer(self.sources))
        if self.tokenizer == TRAIN and self.vocabulary is None:
            object.__setattr__(self, "vocabulary", 4096)
        if self.tokenizer != TRAIN and self.vocabulary is not None:
            raise UserError(
                f"a vocabulary of {self.vocabulary} is asked for, but {self.tokenizer} has its own: "
                "it is for --tokenizer train"
            )
        if self.vocabulary is not None:
            check_vocabulary(self.vocabulary)
        check_between_0_and_1("validation_fraction", self.validation_fraction)
        if not 0 <= self.seed < 2**64:
            raise UserError(f"seed is {self.seed}: it must be a number of at least 0")

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Preparation:
        """Return the preparation that a manifest or a plan describes."""
        values: dict[str, Any] = {**stored, "sources": tuple(stored["sources"])}
        return cls(**values)

    def differences(self, other: Preparation) -> list[str]:
        """Return one `field: ours, theirs` line for each field in which two preparations differ."""
        return differences(vars(self), vars(other))


@dataclass(frozen=True)
class Executor:
    """Where the work is done; it does not change the text.

    Args:
        kind: `local` processes, a `slurm` or a `ray` cluster.
        workers: How many tasks run at a time. None: as many as there are cores here, or as the cluster gives.
        cpus: Cores of a task on a cluster.
        slurm_partition: Where Slurm runs it.
        slurm_time: How long a task may take there.

    Raises:
        UserError: less than one worker or core, or Slurm without a partition.
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
            raise UserError("Slurm needs to know where: --slurm-partition NAME (sinfo lists them)")


HERE = Executor()


@dataclass(frozen=True)
class Plan:
    """A preparation and its tasks; each task reads its files and writes a shard for either split.

    Args:
        preparation: What was asked for.
        tasks: The files of each task; all files in order, so that the text does not depend on the tasks.
        end_of_text: The token that ends a document.
        vocabulary: Number of tokens.
    """

    preparation: Preparation
    tasks: tuple[tuple[File, ...], ...]
    end_of_text: int
    vocabulary: int

    @property
    def dtype(self) -> str:
        """How a token is stored."""
        return "uint16" if self.vocabulary <= 2**16 else "uint32"

    @property
    def files(self) -> list[File]:
        """All files, in order."""
        return [file for task in self.tasks for file in task]

    def save(self, out: Path) -> None:
        """Write the plan into the work folder of `out`."""
        write_file(out / PLAN, json.dumps(dataclasses.asdict(self)) + "\n")

    @classmethod
    def load(cls, out: Path) -> Plan:
        """Return the plan of the unfinished work in `out`."""
        stored = json.loads((out / PLAN).read_text())
        tasks = tuple(tuple(File(*file) for file in task) for task in stored["tasks"])
        return cls(**stored | {"preparation": Preparation.of(stored["preparation"]), "tasks": tasks})


def record_path(out: Path, rank: int) -> Path:
    """Return where a finished task keeps what it wrote."""
    return out / WORK / "records" / f"{rank:05d}.json"


def cut(files: Sequence[File]) -> tuple[tuple[File, ...], ...]:
    """Return files as tasks: neighbours, until they are large enough to be worth a task; at most about 1,024."""
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
    """Yield the documents of files, each with its split; None for a record that has no text.

    Raises:
        SourceError: a file is damaged; the message names it and the line.
    """
    split, begun = None, False
    for file in files:
        for piece in read_documents(file, preparation.text_column):
            if not begun:
                held_out = is_held_out(piece.text, preparation.validation_fraction, preparation.seed)
                split = SPLITS[held_out] if piece.text else None
            yield piece, split
            begun = not piece.ends
