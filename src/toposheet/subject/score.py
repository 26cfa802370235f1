"""The log-probability of texts under a subject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import check_type
from toposheet.progress import Progress
from toposheet.subject.log_probabilities import BATCH_SIZE, score_requests
from toposheet.subject.requests import Request, tokenise
from toposheet.subject.subject import Subject


def score(
    subject: Subject,
    texts: Sequence[str],
    *,
    bos: str | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Float[np.ndarray, " texts"]:
    """Return the log-probability of each text under a subject: the sum of the log-probabilities of its tokens.

    log P(text) = sum over its tokens t of log P(token t | all tokens before it), in natural logarithms. Padding and
    special tokens, such as an end-of-text token that the tokenizer adds, never count.

    Args:
        subject: The subject. Its model runs on its present device, in evaluation mode, with the interventions of the
            subject.
        texts: The texts.
        bos: The token that stands before every text, so that its first token has a probability. none: no token; then
            the first token of a text has no probability, and the sum begins at the second token. None: the token that
            the tokenizer itself puts before texts, or else its beginning-of-text token, or else its end-of-text token,
            or else no token. lm-evaluation-harness has the same rule.
        batch_size: Largest number of texts in one forward pass. Texts of similar length are in the same batch. Long
            texts and large vocabularies make batches smaller: the logits of a batch take at most 256 MB, or those of
            one text.
        progress: A function that is called with the number of texts done so far. None: no calls.

    Returns:
        One number for each text, in float64: sums of log-probabilities in float32. 0 would be a certain text.

    Raises:
        UserError: As for `tokenise` and `score_requests`. The message names the text, counted from 0.

    Example:
        good, bad = ts.score(subject, ["The cats sleep.", "The cats sleeps."])
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    check_type("texts", texts, (list, tuple, np.ndarray, pd.Series), "a list of texts")
    requests = [Request(text, name=f"text {number}") for number, text in enumerate(texts)]
    return score_requests(subject, tokenise(subject, requests, bos), batch_size=batch_size, progress=progress)
