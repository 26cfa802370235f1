"""Where a run stands, on disk: enough to go on as if it had never stopped."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import torch
from torch import nn


def save_state(path: Path, update: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write the state after `update` updates, in place of the one before."""
    buffer = io.BytesIO()  # a full disk then shows as an OSError of the write, with the old state intact
    torch.save({"update": update, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    write_aside(path, buffer.getbuffer())


def write_aside(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that it is there whole or, if anything stops the write, as it was before."""
    aside = path.with_suffix(".writing")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load a state into model and optimizer and return how many updates were done.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first_line = str(error).splitlines()[0]
        raise ValueError(f"{path} is damaged: remove it to start this training anew ({first_line})") from None
    return int(state["update"])
