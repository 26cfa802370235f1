"""`toposheet data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from toposheet.commands._command import REQUIRED, Command, check_out, deferred, group


@deferred
def prepare_data(
    source: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SOURCE [SOURCE ...]", help_behavior_hint=REQUIRED)
    ],
    out: Path,
    tokenizer: str | None = None,
    vocabulary: int | None = None,
    validation_fraction: float = 0.0005,
    seed: int = 0,
    text_column: str = "text",
    licence: str | None = None,
    executor: Literal["local", "slurm", "ray"] = "local",
    workers: int | None = None,
    cpus: int = 1,
    slurm_partition: str | None = None,
    slurm_time: str = "24:00:00",
) -> None:
    """Prepare text for training: write shards of tokens that `toposheet train --data` reads.

    If the command is stopped, run it again to continue.

    Args:
        source: builtin, fineweb-edu, or files and folders (.txt .jsonl .parquet).
        out: Folder for the shards, the tokenizer and manifest.json.
        tokenizer: A folder or a hub id. train: train a tokenizer on the text. None: train for builtin, gpt2 for all
            other sources.
        vocabulary: Number of different tokens of a tokenizer that is trained. None: 4096.
        validation_fraction: Fraction of the documents that is held out for validation.
        seed: Seed of the choice of the held-out documents.
        text_column: Name of the column or field with the text, in .parquet and .jsonl files.
        licence: Licence of your own files. It is written to manifest.json. A folder can describe its corpora in more
            detail in a file corpora.json.
        executor: Where the tasks run. local: on this machine. slurm, ray: on a cluster.
        workers: Number of tasks that run at the same time. None: the number of CPU cores of this machine, or as many
            as the cluster allows.
        cpus: Number of CPU cores for one task on a cluster.
        slurm_partition: Slurm partition in which the tasks run.
        slurm_time: Time limit of one task on Slurm, as HH:MM:SS.
    """
    check_out(out)
    from toposheet.text.pipeline import prepare
    from toposheet.text.plan import Executor, Preparation

    text = Preparation(source, tokenizer, vocabulary, validation_fraction, seed, text_column, licence)
    prepare(text, out, Executor(executor, workers, cpus, slurm_partition, slurm_time), say=print)


COMMAND = Command(position=20, parser=group("Prepare text for training.", prepare=prepare_data), goes_on=True)
