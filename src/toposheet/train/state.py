"""Where a run stands, on disk: enough to go on as if it had never stopped."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import torch
from torch import nn

from toposheet.files import write_file


def save_state(path: Path, update: int, model: nn.Module, optimizer: torch.optim.Optimizer, text: str) -> None:
    """Write the state after `update` updates on the text with checksum `text`, in place of the one before."""
    buffer = io.BytesIO()  # a full disk then shows as an OSError of the write, with the old state intact
    torch.save(
        {"update": update, "text": text, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer
    )
    write_file(path, buffer.getbuffer())


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, text: str) -> int:
    """Load a state into model and optimizer and return how many updates were done.

    Raises:
        ValueError: the file is damaged, or of a run on other text.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        update, trained_on = int(state["update"]), state["text"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first_line = str(error).splitlines()[0]
        raise ValueError(f"{path} is damaged: remove it to start this training anew ({first_line})") from None
    if trained_on != text:
        raise ValueError(f"{path} is of a run on other text: use the --data it began with, or another --out")
    return update
