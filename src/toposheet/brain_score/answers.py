"""What a subject answers to a text that is presented in parts: responses, surprisals and predicted words.

The conventions are those of `HuggingfaceSubject` in brainscore-language 2.3. A part is read after all parts before it.
Its tokens are those that the text so far has more than the text before. Its response is the activation at its last
token.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from toposheet.architectures.mode import in_mode
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.subject import Subject, TokenisedRequests, score_requests
from toposheet.subject.log_probabilities import Batch, logits_of
from toposheet.subject.next_token import check_predicts
from toposheet.subject.reading import own_tokens_before, tokens_before_scored
from toposheet.subject.requests import NOWHERE
from toposheet.subject.respond import read
from toposheet.subject.tokens import check_text

_TOKENS_AT_ONCE = 4096  # in one forward pass, because the activations of all taps are kept


@dataclass(frozen=True)
class Part:
    """A part of a text, as the model reads it.

    Args:
        ids: The token ids that the model reads: those of the text so far. If they are too many, only the last ones.
        n_new: Number of tokens of this part. They are the last of the token ids.
        n_left_out: Number of tokens of the text so far that the model does not read.
    """

    ids: list[int]
    n_new: int
    n_left_out: int


def parts_of(subject: Subject, contexts: Sequence[str], bos: str | None = None) -> list[Part]:
    """Return the parts of a text, with what stands before each of them.

    If a text has more tokens than the model reads, the model reads its last tokens, as with `HuggingfaceSubject`. An
    end-of-text token that the tokenizer itself adds is left out.

    Args:
        subject: The subject.
        contexts: The text so far, up to the end of each part.
        bos: The token that stands before the text. none: no token. None: what the tokenizer itself puts there.

    Raises:
        UserError: The subject has no tokenizer, or its tokenizer has no such token. The text begins with an empty part,
            a part alone has more tokens than the model reads, or a token has no embedding; the message names the part.
    """
    subject.check_tokenizer()
    tokenizer, limits = subject.tokenizer, subject.limits
    own = own_tokens_before(tokenizer)
    before = list(own if bos is None else tokens_before_scored(bos, tokenizer, str(subject.source or subject.name)))
    for number, context in enumerate(contexts):
        check_text(context, lambda number=number: f"part {number + 1}")
    encoded = tokenizer(list(contexts), return_special_tokens_mask=True, return_attention_mask=False, verbose=False)
    most = None if limits.context is None else limits.context - len(before)
    parts, n_before = [], 0
    for number, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        end = len(ids)
        while end > len(own) and special[end - 1]:
            end -= 1
        tokens, where = ids[len(own) : end], f"part {number + 1}"
        if not tokens:
            raise UserError(f"{where} and all parts before it have no tokens: begin with words")
        n_new = max(0, len(tokens) - n_before)
        if most is not None and n_new > most:
            raise UserError(
                f"{where} alone has {n_new} tokens, but the model reads at most {most} of a text: divide it into "
                f"shorter parts; the text so far ends with {contexts[number][-60:]!r}"
            )
        n_read = len(tokens) if most is None else min(most, len(tokens))
        read_tokens = before + tokens[len(tokens) - n_read :]
        limits.check(read_tokens, where, contexts[number], tokenizer)
        parts.append(Part(read_tokens, n_new, len(tokens) - n_read))
        n_before = len(tokens)
    return parts


@dataclass(frozen=True)
class Rows:
    """What the model reads: each row once, and for each part the row that holds it and its last token in this row.

    Args:
        ids: The token ids of each row.
        row: The row of each part.
        last: The position of the last token of each part in its row.
    """

    ids: list[list[int]]
    row: list[int]
    last: list[int]


def rows_of(parts: Sequence[Part], causal: bool) -> Rows:
    """Return the rows that a model reads to answer for parts of one text.

    A causal decoder computes the same for a token whatever tokens follow. So it reads a text once, to its end, instead
    of once for each part. A row ends where the next part does not continue it: where the beginning of the text is left
    out, or where the tokens of a word depend on the word after it.

    Args:
        parts: The parts.
        causal: Whether the model is a causal decoder.
    """
    rows: list[list[int]] = []
    row, last = [], []
    for part in parts:
        # Two windows of a text that repeats itself can be equal, and are still two windows.
        if causal and rows and not part.n_left_out and part.ids[: len(rows[-1])] == rows[-1]:
            rows[-1] = part.ids
        else:
            rows.append(part.ids)
        row.append(len(rows) - 1)
        last.append(len(part.ids) - 1)
    return Rows(rows, row, last)


def is_causal(subject: Subject) -> bool:
    """Return whether the model of a subject is a causal decoder with a language-model head."""
    try:
        check_predicts(subject)
    except UserError:
        return False
    return True


def responses(subject: Subject, parts: Sequence[Part], progress: Progress = SILENT) -> Float[np.ndarray, "parts units"]:
    """Return the activation of every unit at the last token of each part.

    Args:
        subject: The subject. Its interventions act.
        parts: The parts of a text.
        progress: A function that is called with the number of texts done so far.

    Returns:
        The units are those of all taps, in the order of the topography.

    Raises:
        UserError: An activation is not finite. The message names the part and the tap.
    """
    rows, topo = rows_of(parts, is_causal(subject)), subject.topography
    values = np.empty((len(parts), sum(topo.widths.values())), dtype=np.float32)
    of_row = {number: np.flatnonzero(np.array(rows.row) == number) for number in range(len(rows.ids))}
    batch_size = max(1, _TOKENS_AT_ONCE // max(len(ids) for ids in rows.ids))
    with contextlib.closing(read(subject, rows.ids, batch_size, progress)) as batches:
        for read_rows, activations in batches:
            for line, number in enumerate(read_rows.tolist()):
                of_this, at = of_row[number], [rows.last[part] for part in of_row[number]]
                taken = [activations[tap][line, at].float() for tap in topo.taps]
                values[of_this] = torch.cat(taken, dim=1).cpu().numpy()
    if not np.isfinite(values).all():
        part, unit = (int(axis[0]) for axis in np.nonzero(~np.isfinite(values)))
        tap = topo.unit_coordinates()["tap"][1][unit]
        raise UserError(
            f"part {part + 1}: an activation in {tap} is not finite (nan or inf): check the model and its interventions"
        )
    return values


def surprisals(subject: Subject, parts: Sequence[Part], progress: Progress = SILENT) -> Float[np.ndarray, " parts"]:
    """Return the surprisal of each part, in bits: the estimate of reading times in brainscore-language.

    surprisal = - sum over the tokens of the part of log2 P(token | the tokens before it), Smith & Levy 2013,
    doi:10.1016/j.cognition.2013.02.013.

    Args:
        subject: The subject. Its interventions act.
        parts: The parts of a text.
        progress: A function that is called with the number of texts done so far.

    Returns:
        A number for each part. The very first token of a text has no probability and does not count; a part that has
        only this token is nan. A part that adds no tokens has 0.

    Raises:
        UserError: The model does not predict the next token, or a probability is not a finite number.
    """
    rows = rows_of(parts, causal=True)
    spans = [[NOWHERE] * len(ids) for ids in rows.ids]
    for number, part in enumerate(parts):
        end = rows.last[number] + 1
        for position in range(max(1, end - part.n_new), end):
            spans[rows.row[number]][position] = number
    names = [f"the text up to part {max(np.flatnonzero(np.array(rows.row) == n)) + 1}" for n in range(len(rows.ids))]
    requests = TokenisedRequests(rows.ids, spans, len(parts), names)
    bits = 0.0 - score_requests(subject, requests, progress=progress) / math.log(2)
    predicted = np.bincount([span for row in spans for span in row if span != NOWHERE], minlength=len(parts))
    unknown = (predicted == 0) & (np.array([part.n_new for part in parts]) > 0)
    return np.where(unknown, np.nan, bits)


def next_words(subject: Subject, parts: Sequence[Part], progress: Progress = SILENT) -> list[str]:
    """Return the word that a subject predicts after each part: its most probable next token, without white space.

    Args:
        subject: The subject. Its interventions act.
        parts: The parts of a text.
        progress: A function that is called with the number of texts done so far.

    Raises:
        UserError: The model does not predict the next token.
    """
    check_predicts(subject)
    rows, words = rows_of(parts, causal=True), [""] * len(parts)
    with subject.running() as model, in_mode(model, training=False), torch.inference_mode():
        for number, ids in enumerate(rows.ids):
            progress("predicting words", number, len(rows.ids))
            of_row = [part for part, row in enumerate(rows.row) if row == number]
            at = [rows.last[part] for part in of_row]
            logits = logits_of(model, _one_row(ids, at, model.device))
            for part, id_ in zip(of_row, logits[0].argmax(dim=1).tolist(), strict=True):
                words[part] = subject.tokenizer.decode(id_).strip()
    progress("predicting words", len(rows.ids), len(rows.ids))
    return words


def _one_row(ids: Sequence[int], positions: Sequence[int], device: torch.device) -> Batch:
    """Return one text as a batch, of which only the logits at some positions are asked."""
    empty: Any = torch.zeros(0, dtype=torch.long)
    tokens = torch.tensor([list(ids)], device=device)
    return Batch(
        rows=np.zeros(1, dtype=int),
        ids=tokens,
        attended=torch.ones_like(tokens),
        positions=torch.tensor(list(positions), device=device),
        where=(empty, empty),
        targets=empty,
        spans=np.zeros(0, dtype=int),
    )
