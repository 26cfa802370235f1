"""The log-probabilities of spans of texts under a subject, computed in batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from toposheet.architectures.mode import in_mode
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.settings import check_count
from toposheet.subject.batches import batches_by_length, padded
from toposheet.subject.next_token import check_predicts
from toposheet.subject.requests import NOWHERE, TokenisedRequests
from toposheet.subject.subject import Subject
from toposheet.topography.taps import padding_reaches

BATCH_SIZE = 64
_MOST_LOGITS = 2**26  # in one forward pass: 256 MB in float32
_LOGITS_AT_ONCE = 2**20  # of which the probabilities are computed together, so that they stay in the cache of a CPU


def score_requests(
    subject: Subject, requests: TokenisedRequests, *, batch_size: int = BATCH_SIZE, progress: Progress | None = None
) -> Float[np.ndarray, " spans"]:
    """Return the log-probability of each span of requests under a subject.

    Args:
        subject: The subject. Its tokenizer must be the one with which the requests were tokenised.
        requests: The requests, from `tokenise`.
        batch_size: Largest number of texts in one forward pass.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        The sum of the log-probabilities of the tokens of each span, in the order of the spans. A span without tokens
        that have a probability has the sum 0.

    Raises:
        UserError: The model has an encoder and a decoder, has no language-model head, or sees later tokens (as models
            of masked words do). Or a probability is not a finite number; the message names the request.
    """
    check_count("batch_size", batch_size, 1)
    if not len(requests):
        return np.zeros(0)
    with subject.running() as model, in_mode(model, training=False), torch.inference_mode():
        check_predicts(subject)
        equal = padding_reaches(model, subject.topography.taps)
        batches = batches_of(requests, batch_size, model.device, vocabulary=subject.limits.vocabulary, equal=equal)
        return span_sums(requests, batches, lambda batch: logits_of(model, batch), progress or SILENT)


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts that a model reads in one forward pass, and what is asked of them.

    Args:
        rows: The numbers of the requests.
        ids: The token ids (batch, time). Short texts are filled up on the right.
        attended: 1 for a token, 0 for padding.
        positions: The positions (in time) whose logits are needed. The logits at a position predict the next token.
        where: The tokens that count, as indices of the logits: (number of the text in the batch, number of the
            position).
        targets: The ids of these tokens.
        spans: The span in which each of them counts.
    """

    rows: np.ndarray
    ids: Int[Tensor, "batch time"]
    attended: Int[Tensor, "batch time"]
    positions: Int[Tensor, " positions"]
    where: tuple[Int[Tensor, " tokens"], Int[Tensor, " tokens"]]
    targets: Int[Tensor, " tokens"]
    spans: Int[np.ndarray, " tokens"]


def batches_of(
    requests: TokenisedRequests, batch_size: int, device: torch.device, *, vocabulary: int, equal: bool = False
) -> list[Batch]:
    """Return requests as batches for a model, from the longest texts to the shortest.

    Args:
        requests: The requests.
        batch_size: Largest number of texts in a batch.
        device: The device of the model.
        vocabulary: Number of logits at each position. A batch has at most 2^26 logits, or those of one text.
        equal: Whether all texts of a batch must have the same number of tokens.
    """
    lengths = [len(ids) for ids in requests.ids]
    rows_of_batches = []
    for rows in batches_by_length(lengths, batch_size, equal):
        fitting = max(1, _MOST_LOGITS // (lengths[rows[-1]] * vocabulary))
        rows_of_batches += [rows[start : start + fitting] for start in range(0, len(rows), fitting)]
    return [_batch(requests, rows, device) for rows in reversed(rows_of_batches)]


def _batch(requests: TokenisedRequests, rows: np.ndarray, device: torch.device) -> Batch:
    texts = [requests.ids[row] for row in rows]
    ids = padded(texts, 0, torch.long)
    spans = padded([requests.spans[row] for row in rows], NOWHERE, torch.long)
    text, time = torch.nonzero(spans != NOWHERE, as_tuple=True)
    first, last = (int(time.min()) - 1, int(time.max())) if len(time) else (0, 1)
    return Batch(
        rows=rows,
        ids=ids.to(device),
        attended=padded([[1] * len(one) for one in texts], 0, torch.long).to(device),
        positions=torch.arange(first, last, device=device),
        where=(text.to(device), (time - 1 - first).to(device)),
        targets=ids[text, time].to(device),
        spans=spans[text, time].numpy(),
    )


def span_sums(
    requests: TokenisedRequests,
    batches: Sequence[Batch],
    logits: Callable[[Batch], Float[Tensor, "batch positions vocab"]],
    progress: Progress = SILENT,
) -> Float[np.ndarray, " spans"]:
    """Return the log-probability of each span, from the logits that a function gives for each batch.

    Args:
        requests: The requests.
        batches: All of them in batches, from `batches_of`. The batches can be used again for another function.
        logits: A function that returns the logits at the positions of a batch. `logits_of` asks a model. Another
            function can begin in the middle of a model, with activations that it has kept for this batch.
        progress: A function that is called with the number of texts done so far.

    Raises:
        UserError: A probability is not a finite number. The message names the request.
    """
    sums, n_done = np.zeros(requests.n_spans), 0
    progress("scoring texts", 0, len(requests))
    for batch in batches:
        of_tokens = _log_probabilities(logits(batch), batch)
        np.add.at(sums, batch.spans, of_tokens.cpu().numpy().astype(np.float64))
        if not np.isfinite(sums[batch.spans]).all():
            _refuse_not_finite(requests, batch, sums)
        n_done += len(batch.rows)
        progress("scoring texts", n_done, len(requests))
    return sums


def logits_of(model: Any, batch: Batch) -> Float[Tensor, "batch positions vocab"]:
    """Return the logits of a model at the positions of a batch. Where it can, the model computes no other logits."""
    options = {"logits_to_keep": batch.positions} if _keeps_some_logits(type(model)) else {}
    output = model(input_ids=batch.ids, attention_mask=batch.attended, use_cache=False, **options)
    return output.logits if options else output.logits[:, batch.positions]


def _log_probabilities(logits: Float[Tensor, "batch positions vocab"], batch: Batch) -> Float[Tensor, " tokens"]:
    """Return the log-probability of each token that counts: its logit minus the log of the sum of all exponentials."""
    at_once = max(1, _LOGITS_AT_ONCE // logits.shape[-1])
    parts = []
    for text, position, target in zip(*(part.split(at_once) for part in (*batch.where, batch.targets)), strict=True):
        of_tokens = logits[text, position].float()
        parts.append(of_tokens.gather(1, target[:, None]).squeeze(1) - of_tokens.logsumexp(dim=1))
    return torch.cat(parts) if parts else logits.new_zeros(0)


def _keeps_some_logits(kind: type[nn.Module]) -> bool:
    """Return whether the models of a class can be told at which positions to compute logits."""
    return "logits_to_keep" in inspect.signature(kind.forward).parameters


def _refuse_not_finite(requests: TokenisedRequests, batch: Batch, sums: np.ndarray) -> None:
    bad = set(np.flatnonzero(~np.isfinite(sums)).tolist())
    row = next(row for row in batch.rows if bad & set(requests.spans[row]))
    raise UserError(
        f"the log-probability of {requests.names[row]} is not a finite number: the model computes nan or inf; check "
        "its weights, its data type and its interventions"
    )
