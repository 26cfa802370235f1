"""The activations of a subject on blocks of text, a few taps at a time so that little memory is used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.progress import Progress, part_of
from toposheet.subject import Subject
from toposheet.subject.respond import read

_VALUES = 2**28  # float32 numbers that are held at once: 1 GB
_TOKENS = 1024  # that one forward pass reads


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
    subject.limits.check_ids(blocks)
    texts, at_once = blocks.tolist(), max(1, _TOKENS // blocks.shape[1])
    for number, group in enumerate(groups):
        taps = [tap for name in group for tap in sheets[name].places]
        values = {tap: torch.empty(len(blocks), blocks.shape[1] - skip_first, widths[tap]) for tap in taps}
        with contextlib.closing(read(subject, texts, at_once, part_of(progress, number, len(groups)))) as batches:
            for rows, activations in batches:
                for tap in taps:
                    values[tap][rows] = activations[tap][:, skip_first:].float().cpu()
        for name in group:
            yield name, {tap: values.pop(tap).flatten(0, 1) for tap in sheets[name].places}
