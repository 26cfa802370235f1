"""The log-probabilities of texts under many interventions, in parts that are stored: an interrupted call goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from toposheet.architectures.mode import in_mode
from toposheet.cache import recall
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.subject import Intervention, Subject, TokenisedRequests
from toposheet.subject.log_probabilities import (
    BATCH_SIZE,
    Batch,
    batches_of,
    logits_of,
    span_sums,
)
from toposheet.subject.midway import Midway
from toposheet.subject.next_token import check_predicts
from toposheet.topography.taps import padding_reaches

_TEXTS, _INTERVENTIONS = 4096, 32  # in a part
_CACHE_FORMAT = 1  # increase it when a change of the code changes log-probabilities


def sums_with(
    subject: Subject,
    interventions: Sequence[Intervention],
    requests: TokenisedRequests,
    *,
    batch_size: int = BATCH_SIZE,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Iterator[Float[np.ndarray, " spans"]]:
    """Give the log-probability of each span for a subject as it is, and then with each of several interventions.

    For each batch of texts, what an intervention does not change is computed only once.

    Args:
        subject: The subject.
        interventions: The interventions. Each acts alone, after those of the subject. They are taken in slices, so they
            can be made when they are needed.
        requests: The texts with their spans, from `tokenise`.
        batch_size: Largest number of texts in one forward pass.
        cache: A folder for finished parts of the result. It is not used for a model with hooks from other code. None:
            nothing is stored.
        progress: A function that is called with the number of texts done so far, counted once for each intervention.

    Yields:
        First the log-probabilities of the subject as it is, then those with each intervention.

    Raises:
        UserError: The subject does not predict the next token. Or a probability is not finite; the message names the
            intervention and the request.
    """
    if not len(requests):
        yield from np.zeros((1 + len(interventions), 0))
        return
    with subject.running() as model, in_mode(model, training=False), torch.inference_mode():
        check_predicts(subject)
        equal = padding_reaches(model, subject.topography.taps)
    device, vocabulary = subject.intact.model.device, subject.limits.vocabulary
    batches = batches_of(requests, batch_size, device, vocabulary=vocabulary, equal=equal)
    store = cache if subject.can_be_cached else None
    fingerprint = subject.fingerprint if store is not None else ""
    starts = range(0, max(1, len(interventions)), _INTERVENTIONS)
    total, n_done = len(requests) * (len(interventions) + len(starts)), 0
    progress("scoring texts", 0, total)
    for start in starts:
        group = interventions[start : start + _INTERVENTIONS]
        for intervention in group:
            intervention.check(subject.topography)
        sums = np.zeros((1 + len(group), requests.n_spans))
        for part in _parts(batches):
            spans = np.unique(np.concatenate([batch.spans for batch in part]))

            def count(n: int) -> None:
                nonlocal n_done
                n_done += n
                progress("scoring texts", n_done, total)

            def compute(
                group: Sequence[Intervention] = group, part: Sequence[Batch] = part, spans: np.ndarray = spans
            ) -> np.ndarray:
                return _sums(subject, group, requests, part, count)[:, spans]

            n_before = n_done
            if store is None:
                of_part = compute()
            else:
                rows = [(list(requests.ids[row]), list(requests.spans[row])) for batch in part for row in batch.rows]
                asked = [_CACHE_FORMAT, fingerprint, batch_size, rows, [i.digest().hex() for i in group]]
                of_part = recall(store, "lesions", asked, (1 + len(group), len(spans)), compute)
            sums[:, spans] = of_part
            n_done = n_before + sum(len(batch.rows) for batch in part) * (1 + len(group))
            progress("scoring texts", n_done, total)
        yield from sums if start == 0 else sums[1:]


def _sums(
    subject: Subject,
    interventions: Sequence[Intervention],
    requests: TokenisedRequests,
    batches: Sequence[Batch],
    count: Callable[[int], None],
) -> Float[np.ndarray, "variants spans"]:
    """Return the log-probabilities of all spans; 0 for spans that are in none of the batches.

    Args:
        subject: The subject.
        interventions: The interventions, each alone.
        requests: All requests.
        batches: Some of their batches.
        count: A function that is called with the number of texts that were read since the last call.
    """
    model, sums = subject.intact.model, np.zeros((1 + len(interventions), requests.n_spans))
    midway = Midway(model, subject.topography, subject.interventions)
    with subject.intact.running(), in_mode(model, training=False), torch.inference_mode():
        for batch in batches:
            with midway.batch(lambda batch=batch: logits_of(model, batch)) as (logits, again):
                sums[0] += span_sums(requests, [batch], lambda _, logits=logits: logits)
                count(len(batch.rows))
                for row, intervention in enumerate(interventions, 1):
                    try:
                        sums[row] += span_sums(requests, [batch], lambda _, one=intervention, again=again: again([one]))
                    except UserError as error:
                        raise UserError(f"{intervention.name}: {error}") from None
                    count(len(batch.rows))
    return sums


def _parts(batches: Sequence[Batch]) -> list[list[Batch]]:
    """Return batches in parts with at least a number of texts, except the last one."""
    parts: list[list[Batch]] = [[]]
    for batch in batches:
        if sum(len(one.rows) for one in parts[-1]) >= _TEXTS:
            parts.append([])
        parts[-1].append(batch)
    return parts
