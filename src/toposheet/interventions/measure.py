"""What a lesion is measured by: a number for each item, computed from the log-probabilities of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from toposheet.errors import UserError
from toposheet.subject import Request, Subject, TokenisedRequests, tokenise
from toposheet.wording import counted


@dataclass(frozen=True, eq=False, repr=False)
class Measure:
    """A number for each item, computed from the log-probabilities of the spans of texts.

    Args:
        name: Name in tables and figures.
        requests: The texts with their spans, from `tokenise`.
        value: A function of the log-probabilities of all spans (spans). It returns the number of each item (items),
            for example 1 if the good sentence of a pair is more probable, and 0 otherwise.
        groups: The group of each item, such as the BLiMP paradigm of a pair. The mean is then that of the means of the
            groups, which all count alike, as in `accuracy`. None: the mean is over items.
    """

    name: str
    requests: TokenisedRequests
    value: Callable[[Float[np.ndarray, " spans"]], Float[np.ndarray, " items"]]
    groups: Sequence[str] | None = None

    def __repr__(self) -> str:
        return f"Measure({self.name}: {counted(len(self.requests), 'text')})"

    @classmethod
    def pairs(
        cls,
        subject: Subject,
        good: Sequence[str],
        bad: Sequence[str],
        *,
        name: str = "accuracy",
        groups: Sequence[str] | None = None,
        bos: str | None = None,
    ) -> Measure:
        """Return the measure of minimal pairs: 1 if the good sentence is more probable than the bad one, else 0.

        Two equal probabilities count as 0.5.

        Args:
            subject: The subject, whose tokenizer is used.
            good: The good sentence of each pair.
            bad: The bad sentence of each pair.
            name: Name in tables and figures.
            groups: The group of each pair, see `Measure`.
            bos: The token that stands before every sentence, see `score`.

        Raises:
            UserError: There are not as many good as bad sentences, or there is none, or one cannot be read.
        """
        if len(good) != len(bad) or not len(good):
            raise UserError(f"there are {len(good)} good and {len(bad)} bad sentences: give pairs, at least one")
        requests = tokenise(subject, [Request(text) for pair in zip(good, bad, strict=True) for text in pair], bos)
        return cls(name, requests, correct_pairs, groups)

    @cached_property
    def items_of_groups(self) -> list[Int[np.ndarray, " items"]]:
        """The numbers of the items of each group; without groups, those of all items."""
        n_items = len(self.value(np.zeros(self.requests.n_spans)))
        if self.groups is None:
            return [np.arange(n_items)]
        of_item = np.asarray(self.groups)
        return [np.flatnonzero(of_item == group) for group in dict.fromkeys(self.groups)]


def correct_pairs(sums: Float[np.ndarray, " spans"]) -> Float[np.ndarray, " items"]:
    """Return 1 for each pair whose first log-probability is larger, 0 if the second one is, and 0.5 if they are equal.

    Args:
        sums: Log-probabilities: good, bad, good, bad ...
    """
    return (np.sign(sums[::2] - sums[1::2]) + 1) / 2
