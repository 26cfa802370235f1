"""Units whose activation at one token of a text is much larger than at all others: attention sinks."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from toposheet.errors import UserError, check_type
from toposheet.progress import SILENT, Progress
from toposheet.settings import READING, Reading, check_count, check_seed
from toposheet.subject.respond import TokenisedText, read, tokenised
from toposheet.subject.subject import Subject

RATIO = 20.0  # without sinks, units reach 8 in SmolLM2-135M and 11 with random weights; with sinks, 3,000
N_TEXTS = 64
_N_POSITIONS = 64
_MIN_TEXTS = 5  # at a position; with fewer, one text decides the mean
_BATCH = 16


def sinks(
    subject: Subject,
    stimuli: pd.DataFrame,
    *,
    reading: Reading = READING,
    ratio: float = RATIO,
    n_texts: int = N_TEXTS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return for each unit the position in texts at which it is most active, and by how much.

    In many pretrained models, a few positions, most often the first token, have activations that are thousands of times
    larger than all others: attention sinks (Xiao et al. 2024, arXiv:2309.17453). The mean over the tokens of a text is
    then this one activation divided by the number of tokens, and a contrast compares numbers of tokens. Read the texts
    with a token before them (`Reading(bos=...)`) or without their first token (`Reading(skip_first=True)`).

    Args:
        subject: The subject. Its interventions act.
        stimuli: A table of texts, as for `respond`.
        reading: How texts are read. Only the tokens that count in a response count here. `pooling` has no effect.
        ratio: A unit is a sink if `at_position` is more than `ratio` times `elsewhere`, its own and that of the median
            unit of its tap.
        n_texts: Largest number of texts that are read. If there are more, a random sample of them is read.
        seed: Seed of the sample.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        A row for each unit, with the columns `tap, sheet, y, x`; `position`: the position with the largest mean
        |activation| over texts, where 0 is the first token of a text; `at_position`: this mean; `elsewhere`: the median
        of the means at the other positions; `ratio`: their quotient (inf if the unit is silent elsewhere); `is_sink`.
        Positions count if they are among the first 64 and at least 5 texts (or all texts, if there are fewer) have
        them. With fewer than two positions, `elsewhere` and `ratio` are nan, and no unit is a sink.

    Raises:
        UserError: As for `respond`. Or `ratio` is not larger than 1, or `n_texts` is less than 1.

    Example:
        units = ts.sinks(subject, stimuli)
        units.groupby("tap")["is_sink"].mean()  # the fraction of the units of each tap
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    check_type("stimuli", stimuli, pd.DataFrame, "a pandas DataFrame with columns text and condition")
    check_type("reading", reading, Reading, "a toposheet.Reading, such as Reading(skip_first=True)")
    check_count("n_texts", n_texts, 1)
    check_seed(seed)
    if not ratio > 1:
        raise UserError(f"ratio is {ratio!r}: it must be larger than 1")
    if len(stimuli) > n_texts:
        rows = np.sort(np.random.default_rng(seed).choice(len(stimuli), n_texts, replace=False))
        stimuli = stimuli.iloc[rows]
    texts = tokenised(subject, stimuli, replace(reading, pooling="mean"))
    positions, activity = _mean_activity(subject, texts, progress or SILENT)
    coordinates: dict[str, Any] = {name: values for name, (_, values) in subject.topography.unit_coordinates().items()}
    table = pd.DataFrame({name: coordinates[name] for name in ("tap", "sheet", "y", "x")})
    largest, units = activity.argmax(axis=0), np.arange(activity.shape[1])
    others = activity.copy()
    others[largest, units] = np.nan
    at_position = activity[largest, units]
    elsewhere = np.nanmedian(others, axis=0) if len(positions) > 1 else np.full(len(units), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = at_position / elsewhere
    typical = pd.Series(elsewhere).groupby(table["tap"]).transform("median").to_numpy()
    table = table.assign(position=positions[largest], at_position=at_position, elsewhere=elsewhere, ratio=quotient)
    return table.assign(is_sink=at_position > ratio * np.maximum(elsewhere, typical))


def _mean_activity(
    subject: Subject, texts: list[TokenisedText], progress: Progress
) -> tuple[Int[np.ndarray, " positions"], Float[np.ndarray, "positions units"]]:
    """Return the positions that count, and the mean |activation| of each unit at each of them."""
    topo = subject.topography
    sums = np.zeros((_N_POSITIONS, sum(topo.widths.values())))
    n = np.zeros(_N_POSITIONS, dtype=np.int64)
    with contextlib.closing(read(subject, [text.ids for text in texts], _BATCH, progress)) as batches:
        for rows, activations in batches:
            size = torch.cat([activations[tap].float().abs().cpu() for tap in topo.taps], dim=2).numpy()
            for text, text_size in zip((texts[row] for row in rows), size, strict=True):
                position = np.cumsum(text.is_text) - 1
                tokens = np.flatnonzero(np.array(text.counts) & (position < _N_POSITIONS))
                sums[position[tokens]] += text_size[tokens]
                n[position[tokens]] += 1
    enough = np.flatnonzero(n >= min(_MIN_TEXTS, len(texts)))
    if not len(enough):
        enough = np.flatnonzero(n == n.max())
    return enough, sums[enough] / n[enough, None]
