"""The activations of a subject on blocks of text, a few taps at a time so that little memory is used."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.progress import SILENT, Progress
from toposheet.subject import Subject

_VALUES = 2**28  # float32 numbers that are held at once: 1 GB


def activations_on(
    subject: Subject,
    blocks: Int[Tensor, "blocks time"],
    *,
    skip_first: bool = True,
    progress: Progress | None = None,
) -> Iterator[tuple[str, dict[str, Float[Tensor, "tokens units"]]]]:
    """Yield the activations on text, sheet after sheet: the name of the sheet, and the activations of its taps.

    If the activations of all taps need more than 1 GB, the model reads the text several times.

    Args:
        subject: The subject.
        blocks: Token ids.
        skip_first: Whether the first token of each block is left out. In pretrained models it often has activations
            that are much larger than all others (an attention sink), and they would decide every correlation.
        progress: A function that is called with the number of blocks read so far. None: no calls.
    """
    sheets, widths = subject.topography.sheets, subject.topography.widths
    tokens = blocks.shape[0] * (blocks.shape[1] - skip_first)
    size = {name: tokens * sum(widths[tap] for tap in sheet.places) for name, sheet in sheets.items()}
    groups: list[list[str]] = []
    for name in sheets:
        if not groups or sum(size[one] for one in groups[-1]) + size[name] > _VALUES:
            groups.append([])
        groups[-1].append(name)
    with subject.running() as model:
        device = next(model.parameters()).device
    tell = progress or SILENT
    for number, group in enumerate(groups):
        parts: dict[str, list[Tensor]] = {tap: [] for name in group for tap in sheets[name].places}
        for n, block in enumerate(blocks):
            tell("reading text, block", number * len(blocks) + n, len(groups) * len(blocks))
            with torch.no_grad(), subject.record() as activations:
                subject(block[None].to(device))
                for tap, of_tap in parts.items():
                    of_tap.append(activations[tap][0, skip_first:].float().cpu())
        for name in group:
            yield name, {tap: torch.cat(parts.pop(tap)) for tap in sheets[name].places}
    n = len(groups) * len(blocks)
    tell("reading text, block", n, n)
