"""Requests for log-probabilities: texts, and the spans of characters whose log-probabilities are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toposheet.errors import UserError
from toposheet.settings import NO_BOS
from toposheet.subject.reading import own_tokens_before, tokens_before_scored
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import check_text

NOWHERE = -1  # the span of a token that counts in no span


@dataclass(frozen=True)
class Request:
    """A text, and the spans of it whose log-probabilities are wanted.

    A token counts in the span that holds its first character. White space before this character is skipped, because
    the tokens of many tokenizers begin with the space before a word. So a token that reaches over the end of a span
    counts as a whole in this span, and a token of white space only counts with the word after it.

    Args:
        text: The text.
        spans: The spans, each as (first character, character after the last one), in order and without overlap. None:
            one span, the whole text.
        name: Name of the text, with which error messages begin.

    Example:
        Request("The cat sleeps.", spans=((0, 7), (8, 15)))  # "The cat" and "sleeps."
    """

    text: str
    spans: tuple[tuple[int, int], ...] | None = None
    name: str = "the text"

    @property
    def n_spans(self) -> int:
        """Number of spans."""
        return 1 if self.spans is None else len(self.spans)


@dataclass(frozen=True, eq=False)
class TokenisedRequests:
    """The tokens of several requests. They are made once, and can be scored with many subjects that share a tokenizer.

    The spans of all requests are numbered from 0, in the order of the requests and of their spans.

    Args:
        ids: The token ids of each text, with the tokens before it.
        spans: For each token of each text, the number of the span in which it counts. -1: it counts in no span.
        n_spans: Number of spans of all requests.
        names: The name of each request.
    """

    ids: Sequence[Sequence[int]]
    spans: Sequence[Sequence[int]]
    n_spans: int
    names: Sequence[str]

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.ids)


def tokenise(subject: Subject, requests: Iterable[Request], bos: str | None = None) -> TokenisedRequests:
    """Return the tokens of requests, and the span in which each token counts.

    Special tokens, and a first token that has no token before it, count in no span.

    Args:
        subject: The subject. Only its tokenizer and the limits of its model are used.
        requests: The requests.
        bos: The token that stands before every text. none: no token. None: see `score`.

    Raises:
        UserError: The subject has no tokenizer, or its tokenizer has no such token. A text is not a str, has no tokens
            with a probability, has more tokens than the model reads, or has a token without embedding; the message
            names the request. Or spans are wanted, and the tokenizer does not know where its tokens are in a text.
    """
    requests = list(requests)
    subject.check_tokenizer()
    tokenizer, limits = subject.tokenizer, subject.limits
    before = tokens_before_scored(bos, tokenizer, str(subject.source or subject.name))
    for request in requests:
        check_text(request.text, lambda request=request: request.name)
    encoded = _encoded(tokenizer, requests)
    n_own, ids, spans, n_spans = len(own_tokens_before(tokenizer)), [], [], 0
    for number, request in enumerate(requests):
        is_text = [not special for special in encoded["special_tokens_mask"][number][n_own:]]
        end = len(is_text) - is_text[::-1].index(True) if any(is_text) else 0  # special tokens after it are left out
        tokens = [*before, *encoded["input_ids"][number][n_own:][:end]]
        of_token = [NOWHERE] * len(before)
        if request.spans is None:
            of_token += [n_spans if counts else NOWHERE for counts in is_text[:end]]
        else:
            starts = [start for start, _ in encoded["offset_mapping"][number][n_own:][:end]]
            of_token += _spans_at(starts, is_text, request, n_spans)
        of_token[:1] = [NOWHERE]
        _check_tokens(request, end, len(tokens), bos)
        limits.check(tokens, request.name, request.text, tokenizer)
        ids.append(tokens)
        spans.append(of_token)
        n_spans += request.n_spans
    return TokenisedRequests(ids, spans, n_spans, [request.name for request in requests])


def _encoded(tokenizer: Any, requests: Sequence[Request]) -> Any:
    """Return the token ids, the special tokens and, if spans are wanted, the characters of the tokens of each text."""
    if not requests:
        return {}
    with_spans = any(request.spans is not None for request in requests)
    if with_spans and not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__} does not know where its tokens are in a text, so parts of texts have no "
            "probability: use a tokenizer with a tokenizer.json"
        )
    return tokenizer(
        [request.text for request in requests],
        return_special_tokens_mask=True,
        return_offsets_mapping=with_spans,
        return_attention_mask=False,
        verbose=False,
    )


def _spans_at(starts: Sequence[int], is_text: Sequence[bool], request: Request, n_before: int) -> list[int]:
    """Return the number of the span in which each token of a text counts.

    Args:
        starts: The first character of each token.
        is_text: For each token, whether it belongs to the text.
        request: The request.
        n_before: Number of spans of all requests before this one.
    """
    text, at_character = request.text, np.full(len(request.text) + 1, NOWHERE)
    for number, (start, end) in enumerate(request.spans or ()):
        at_character[start:end] = n_before + number
    for position in range(len(text) - 1, -1, -1):  # white space counts where the character after it counts
        if text[position].isspace() and text[position:].strip():
            at_character[position] = at_character[position + 1]
    return [int(at_character[start]) if own else NOWHERE for start, own in zip(starts, is_text, strict=False)]


def _check_tokens(request: Request, n_text: int, n_tokens: int, bos: str | None) -> None:
    """Refuse a text of which no token has a probability."""
    if not n_text:
        raise UserError(f"{request.name} has no tokens: remove it, or give it words; its text is {request.text!r}")
    if n_tokens < 2:
        why = f"bos is {NO_BOS!r}" if bos == NO_BOS else "the tokenizer has no beginning-of-text or end-of-text token"
        raise UserError(
            f"{request.name} has only one token, and no token stands before it ({why}), so it has no probability: "
            f"remove it, or give bos a token of the tokenizer; its text is {request.text!r}"
        )
