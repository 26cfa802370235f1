"""Batches of texts of similar length, and rows of numbers that are filled up to equal length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def batches_by_length(lengths: Sequence[int], batch_size: int, equal: bool) -> list[np.ndarray]:
    """Return the rows of the texts of each batch, from the shortest texts to the longest.

    Args:
        lengths: Number of tokens of each text.
        batch_size: Largest number of texts in a batch.
        equal: Whether all texts of a batch must have the same number of tokens.
    """
    order = np.argsort(lengths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(np.asarray(lengths)[order])) + 1) if equal else [order]
    return [group[start : start + batch_size] for group in groups for start in range(0, len(group), batch_size)]


def padded(rows: Sequence[Sequence[int]], padding: int, dtype: torch.dtype) -> Tensor:
    """Return rows of numbers as a tensor (batch, time). Short rows are filled up on the right."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[padding] * (longest - len(row))] for row in rows], dtype=dtype)
