"""Checkpoints: files that hold the state of a run, so that a stopped run can continue as if it had not stopped."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from toposheet.errors import UserError, first_line
from toposheet.files import write_file

KEPT = 2
_NAME = re.compile(r"update-(\d+)-([0-9a-f]{16})\.pt")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a number of updates.

    Args:
        update: The number of finished updates.
        text: The checksum of the training text.
        machine: The hardware and the number of processes (`hardware.machine`).
        validations: The task losses of all validations so far, in nats per token. Early stopping uses them.
        seconds: Seconds that the run has taken so far, without the time between a stop and its continuation.
        model: The weights by parameter name.
        optimizers: The state of each optimizer.
    """

    update: int
    text: str
    machine: dict[str, Any]
    validations: list[float]
    seconds: float
    model: dict[str, Any]
    optimizers: list[dict[str, Any]]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and return its path. The two newest checkpoints are kept; older ones are removed.

    The content is written to a temporary file, synced to disk, and renamed to `update-N-CHECKSUM.pt`. The folder
    therefore never holds half a checkpoint. CHECKSUM is the first 16 digits of the file's SHA-256. It shows whether the
    file is intact.

    Raises:
        OSError: The file cannot be written, for example because the disk is full. The earlier checkpoints are intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()  # `write_file` then reports a full disk as an OSError; torch.save does not
    torch.save(vars(checkpoint), buffer)
    checksum = hashlib.sha256(buffer.getbuffer()).hexdigest()[:16]
    path = folder / f"update-{checkpoint.update:08d}-{checksum}.pt"
    write_file(path, buffer.getbuffer())
    for old in (*_checkpoints(folder)[KEPT:], *folder.glob(".writing-*")):  # a killed run leaves temporary files
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the path of the newest intact checkpoint, or None if the folder holds no checkpoint.

    A warning names each damaged checkpoint.

    Raises:
        UserError: The folder holds checkpoints, but all of them are damaged.
    """
    checkpoints = _checkpoints(folder)
    for path in checkpoints:
        try:
            read_checkpoint(path)
            return path
        except UserError as error:
            logging.getLogger(__name__).warning("%s; toposheet tries the checkpoint before it", error)
    if checkpoints:
        raise UserError(f"all checkpoints in {folder} are damaged: remove the folder to train again from the beginning")
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, newest first."""
    return sorted((path for path in folder.glob("*.pt") if _NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint that is stored in a file.

    Raises:
        UserError: The file does not exist, is damaged, or was written by another version of toposheet.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist on this machine: all processes must see the same model folder")
    content = path.read_bytes()
    match = _NAME.fullmatch(path.name)
    assert match is not None
    if hashlib.sha256(content).hexdigest()[:16] != match[2]:
        raise UserError(
            f"{path} is damaged: its content does not match the checksum in its name; delete the file, and the run "
            "continues from the checkpoint before"
        )
    try:
        return Checkpoint(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is not a checkpoint of this version of toposheet: {first_line(error)}") from None
