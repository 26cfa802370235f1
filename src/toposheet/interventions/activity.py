"""The usual activity of units: mean and standard deviation of their activations over the tokens of texts."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from toposheet.errors import UserError, check_type
from toposheet.progress import SILENT, Progress
from toposheet.settings import READING, Reading
from toposheet.stimuli.studies import language_contrast
from toposheet.subject import Subject
from toposheet.subject.respond import read, tokenised


@dataclass(frozen=True, eq=False)
class Activity:
    """Mean and standard deviation of the activations of units over tokens.

    Args:
        mean: The mean activation of each unit: {tap: array}.
        sd: The standard deviation of the activations of each unit: {tap: array}.
        n_tokens: Number of tokens.
    """

    mean: dict[str, Float[np.ndarray, " units"]]
    sd: dict[str, Float[np.ndarray, " units"]]
    n_tokens: int


def unit_activity(
    subject: Subject,
    texts: Sequence[str] | pd.DataFrame | None = None,
    *,
    reading: Reading = READING,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Activity:
    """Return mean and standard deviation of the activations of all units over the tokens of texts.

    Special tokens and padding do not count. In a pretrained model, the first token can have activations that are a
    thousand times as large as others. It then decides the standard deviation. Put a token before the texts
    (`Reading(bos=...)`), or leave the first token out (`Reading(skip_first=True)`).

    Args:
        subject: The subject. Its interventions act.
        texts: The texts, or a table with the column `text`. None: the sentences among the stimuli of the subject, see
            `Subject.stimuli`.
        reading: Which token stands before every text, and whether the first token of the text counts. The pooling has
            no effect.
        batch_size: Number of texts in one forward pass.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Raises:
        UserError: There are no texts, the subject cannot read them, or an activation is not finite.
        NotFound: `texts` is None, and the subject has no stimuli.
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    tokens = tokenised(subject, _table(subject, texts), reading)
    counts = [np.array(text.counts) for text in tokens]
    totals: dict[str, list[np.ndarray]] = {}
    n = 0
    batches = read(subject, [text.ids for text in tokens], batch_size, progress or SILENT)
    with contextlib.closing(batches):
        for rows, activations in batches:
            n_new = int(sum(counts[row].sum() for row in rows))
            for tap in subject.topography.taps:
                values = activations[tap]
                kept = np.zeros(values.shape[:2], dtype=bool)
                for line, row in enumerate(rows):
                    kept[line, : len(counts[row])] = counts[row]
                chosen = values[torch.from_numpy(kept).to(values.device)].double()
                mean = chosen.mean(dim=0)
                squares = ((chosen - mean) ** 2).sum(dim=0)
                totals[tap] = _merged(totals.get(tap), n, mean.cpu().numpy(), squares.cpu().numpy(), n_new)
            n += n_new
    for tap, (mean, squares) in totals.items():
        if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
            raise UserError(f"the activations of {tap} are not finite: check the model and its interventions")
    return Activity(
        {tap: mean for tap, (mean, _) in totals.items()},
        {tap: np.sqrt(squares / n) for tap, (_, squares) in totals.items()},
        n,
    )


def sentences_among(stimuli: pd.DataFrame) -> pd.DataFrame:
    """Return the sentences among stimuli: the first condition of their language contrast. Without one, all stimuli."""
    language = language_contrast(stimuli)
    return stimuli if language is None else stimuli[stimuli["condition"] == language.a].reset_index(drop=True)


def _merged(
    before: list[np.ndarray] | None, n: int, mean: np.ndarray, squares: np.ndarray, n_new: int
) -> list[np.ndarray]:
    """Return mean and sum of squared deviations of two sets of tokens (Chan et al. 1983, doi:10.2307/2683386)."""
    if before is None:
        return [mean, squares]
    step, total = mean - before[0], n + n_new
    return [before[0] + step * (n_new / total), before[1] + squares + step**2 * (n * n_new / total)]


def _table(subject: Subject, texts: Sequence[str] | pd.DataFrame | None) -> pd.DataFrame:
    """Return texts as a table of stimuli."""
    if texts is None:
        return sentences_among(subject.stimuli())
    if isinstance(texts, pd.DataFrame):
        return texts if "condition" in texts else texts.assign(condition="text")
    check_type("texts", texts, (list, tuple), "a list of str, or a table with the column text")
    return pd.DataFrame({"text": list(texts), "condition": "text"})
