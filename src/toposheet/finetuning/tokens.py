"""The tokens of examples. Training and evaluation read them from here, so a pair is joined in one way only.

The published code of TopoLM joins the texts of a pair with `$` in the training and with a space in the evaluation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from toposheet.errors import UserError
from toposheet.finetuning.examples import Example
from toposheet.recipes.finetuning import SEPARATOR
from toposheet.subject import Subject
from toposheet.subject.batches import padded
from toposheet.subject.reading import tokens_before_scored
from toposheet.wording import counted

PADDING = -1


@dataclass(frozen=True, eq=False)
class TokenisedExamples:
    """The tokens and the labels of examples.

    Args:
        ids: The token ids of each example.
        labels: The label of each example.
        n_shortened: Number of examples that were too long for the model, and were shortened.
    """

    ids: Sequence[Sequence[int]]
    labels: np.ndarray
    n_shortened: int

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.ids)

    @property
    def checksum(self) -> str:
        """A hash of all tokens and labels."""
        return hashlib.sha256(json.dumps([list(map(list, self.ids)), self.labels.tolist()]).encode()).hexdigest()

    def rows(self, numbers: Sequence[int] | np.ndarray, first: int = 0) -> Int[Tensor, "batch columns"]:
        """Return examples as a classifier reads them: the number of the example, and its tokens, filled up with -1.

        Args:
            numbers: The numbers of the examples.
            first: What is added to the numbers in the first column.
        """
        return padded([[first + int(n), *self.ids[n]] for n in numbers], PADDING, torch.long)


def tokens_of(
    subject: Subject, examples: Sequence[Example], *, separator: str = SEPARATOR, bos: str | None = None
) -> TokenisedExamples:
    """Return the tokens of examples: the token before texts, the texts, and the separator between two texts.

    An example that is longer than the model can read is shortened: its longest text loses its last token, again and
    again, until the example fits.

    Args:
        subject: The subject. Only its tokenizer and the limits of its model are used.
        examples: The examples.
        separator: The text between the two texts of a pair. It has tokens of its own.
        bos: The token that stands before every example. none: no token. None: as in `toposheet.score`.

    Raises:
        UserError: The subject has no tokenizer or no such token, an example has no tokens, or the model has no
            embedding for a token. The message names the file and the line.
    """
    subject.check_tokenizer()
    tokenizer, limits = subject.tokenizer, subject.limits
    before = tokens_before_scored(bos, tokenizer, str(subject.source or subject.name))
    texts = [*(text for example in examples for text in example.texts), separator]
    *encoded, between = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False).input_ids
    ids, n_shortened, parts = [], 0, iter(encoded)
    for example in examples:
        of_texts = [next(parts) for _ in example.texts]
        tokens = joined(of_texts, before, between, limits.context)
        if not any(of_texts):
            raise UserError(f"{example.where} has no tokens: remove the row, or give it words")
        n_shortened += len(tokens) < len(joined(of_texts, before, between, None))
        limits.check(tokens, example.where, " ".join(example.texts), tokenizer)
        ids.append(tokens)
    return TokenisedExamples(ids, np.array([example.label for example in examples]), n_shortened)


def joined(
    texts: Sequence[Sequence[int]], before: Sequence[int], between: Sequence[int], longest: int | None
) -> list[int]:
    """Return the tokens of an example: `before`, the first text, `between`, the second text.

    Args:
        texts: The token ids of the texts.
        before: The token ids before the example.
        between: The token ids between two texts.
        longest: Largest number of tokens. Longer texts lose tokens at their ends, the longest text first. None: no
            limit.

    Raises:
        UserError: The limit leaves no token for a text.
    """
    lengths = [len(text) for text in texts]
    room = None if longest is None else longest - len(before) - len(between) * (len(texts) - 1)
    if room is not None and room < len(texts):
        raise UserError(
            f"the model reads {counted(longest or 0, 'token')}, which leaves no room for the texts of a pair: use a "
            "model that reads more tokens"
        )
    while room is not None and sum(lengths) > room:
        lengths[lengths.index(max(lengths))] -= 1
    tokens = list(before)
    for number, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        tokens += [*(between if number else ()), *text[:length]]
    return tokens
