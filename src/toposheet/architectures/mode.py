"""Training and evaluation mode of a model. In training mode dropout acts, so a model says something else each time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Generator[None]:
    """Put a model in training mode or in evaluation mode inside this context.

    Args:
        model: The model.
        training: True: training mode. False: evaluation mode.
    """
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)
