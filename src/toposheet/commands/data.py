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
    """Turn text into shards of tokens that `train --data` reads; stopped, the same command goes on.

    Args:
        source: builtin, fineweb-edu, or files and folders (.txt .jsonl .parquet).
        out: Folder for shards, tokenizer and manifest.json.
        tokenizer: A folder or hub id; train: learn one from the text. None: train for builtin, else gpt2.
        vocabulary: Tokens of a tokenizer that is trained. None: 4096.
        validation_fraction: How large a part of the documents is held out.
        seed: Decides which documents.
        text_column: Where .jsonl and .parquet have the text.
        licence: Of your own files, for the record; a folder may say more in a corpora.json.
        executor: Where the work is done.
        workers: Tasks at a time. None: one for each core; on a cluster, as many as it gives.
        cpus: Cores of a task on a cluster.
        slurm_partition: Where Slurm runs it.
        slurm_time: How long a task may take there.
    """
    check_out(out)
    from toposheet.text.pipeline import prepare
    from toposheet.text.plan import Executor, Preparation

    text = Preparation(source, tokenizer, vocabulary, validation_fraction, seed, text_column, licence)
    prepare(text, out, Executor(executor, workers, cpus, slurm_partition, slurm_time), say=print)


COMMAND = Command(place=20, parser=group("Text, made ready for training.", prepare=prepare_data), goes_on=True)
