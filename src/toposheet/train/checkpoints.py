"""Where a run stands, on disk: enough to go on as if it had never stopped."""

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
    """Where a run stands after some updates.

    Args:
        update: How many updates are done.
        text: Checksum of the text it is trained on.
        machine: What it is computed on (`hardware.machine`).
        validations: The validation task losses so far, as early stopping looks at them.
        model: The weights by name.
        optimizers: The state of each optimizer.
    """

    update: int
    text: str
    machine: dict[str, Any]
    validations: list[float]
    model: dict[str, Any]
    optimizers: list[dict[str, Any]]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint beside the one before, remove older ones, and return its path.

    The file is written aside, synced and renamed to `update-N-CHECKSUM.pt`, the first digits of its SHA-256, so that
    a checkpoint is there whole or not at all and says itself whether it is still intact.

    Raises:
        OSError: it cannot be written; the checkpoints before are intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()  # a full disk then shows as an OSError of the write
    torch.save(vars(checkpoint), buffer)
    checksum = hashlib.sha256(buffer.getbuffer()).hexdigest()[:16]
    path = folder / f"update-{checkpoint.update:08d}-{checksum}.pt"
    write_file(path, buffer.getbuffer())
    for old in (*_checkpoints(folder)[KEPT:], *folder.glob(".writing-*")):  # the latter of a run that was killed
        old.unlink()
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that is intact, none where there is no checkpoint; a damaged one is named.

    Raises:
        UserError: there are checkpoints and all are damaged.
    """
    checkpoints = _checkpoints(folder)
    for path in checkpoints:
        try:
            read_checkpoint(path)
            return path
        except UserError as error:
            logging.getLogger(__name__).warning("%s; the checkpoint before it is used", error)
    if checkpoints:
        raise UserError(f"all checkpoints in {folder} are damaged: remove the folder to start this training anew")
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, newest first."""
    return sorted((path for path in folder.glob("*.pt") if _NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what a checkpoint holds.

    Raises:
        UserError: it is not there, damaged or of another version.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there: all processes must see the same run folder")
    content = path.read_bytes()
    match = _NAME.fullmatch(path.name)
    assert match is not None
    if hashlib.sha256(content).hexdigest()[:16] != match[2]:
        raise UserError(f"{path} is damaged: its checksum is not the one in its name")
    try:
        return Checkpoint(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is no checkpoint of this version: {first_line(error)}") from None
