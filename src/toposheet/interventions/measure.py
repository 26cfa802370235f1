"""What an intervention is measured by: a number for each item, computed from the log-probabilities of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from toposheet.errors import UserError, check_type
from toposheet.stats.intervals import mean_of_means_interval
from toposheet.stats.proportions import interval_of_mean, paired_interval
from toposheet.subject import Request, Subject, TokenisedRequests, tokenise
from toposheet.wording import counted

Unit = Literal["accuracy", "nats"]
ALL = "all"  # the part with all items


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
        parts: The part of each item, such as the field of a pair. Effects are then given for all items together, and
            for each part. None: only for all items.
        unit: The unit of the numbers: `accuracy` (printed in percent) or `nats`.
    """

    name: str
    requests: TokenisedRequests
    value: Callable[[Float[np.ndarray, " spans"]], Float[np.ndarray, " items"]]
    groups: Sequence[str] | None = None
    parts: Sequence[str] | None = None
    unit: Unit = "accuracy"

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
        parts: Sequence[str] | None = None,
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
            parts: The part of each pair, see `Measure`.
            bos: The token that stands before every sentence, see `score`.

        Raises:
            UserError: There are not as many good as bad sentences, or there is none, or one cannot be read.
        """
        if len(good) != len(bad) or not len(good):
            raise UserError(f"there are {len(good)} good and {len(bad)} bad sentences: give pairs, at least one")
        requests = tokenise(subject, [Request(text) for pair in zip(good, bad, strict=True) for text in pair], bos)
        return cls(name, requests, correct_pairs, groups, parts)

    @classmethod
    def words(
        cls,
        subject: Subject,
        contexts: Sequence[str],
        words: Sequence[str],
        other_words: Sequence[str],
        *,
        name: str = "preference",
        groups: Sequence[str] | None = None,
        parts: Sequence[str] | None = None,
        bos: str | None = None,
    ) -> Measure:
        """Return the measure of next words: by how many nats some words are more probable than others after a context.

        The number of a context is log(mean P(word | context)) - log(mean P(other word | context)), with the probability
        of all tokens of a word, after a space. It says nothing about whether the word ends there.

        Args:
            subject: The subject, whose tokenizer is used.
            contexts: The contexts, such as `The boy saw the`. Each is an item.
            words: Words, such as nouns.
            other_words: Other words, such as verbs.
            name: Name in tables and figures.
            groups: The group of each context, see `Measure`.
            parts: The part of each context, see `Measure`.
            bos: The token that stands before every context, see `score`.

        Raises:
            UserError: A list is empty, a word stands in both lists, or a text cannot be read.

        Example:
            ts.Measure.words(subject, ["They saw the", "We like the"], ["house", "river"], ["go", "bring"])
        """
        for what, given in (("contexts", contexts), ("words", words), ("other_words", other_words)):
            check_type(what, given, (list, tuple), "a list of str")
            if not given:
                raise UserError(f"{what} is empty: give at least one")
        if both := sorted({*words} & {*other_words}):
            raise UserError(f"{both[0]!r} is among words and among other_words: leave it out of one of them")
        requests = [
            Request(f"{context} {word}", ((len(context) + 1, len(context) + 1 + len(word)),))
            for context in contexts
            for word in (*words, *other_words)
        ]

        def preference(sums: Float[np.ndarray, " spans"]) -> Float[np.ndarray, " items"]:
            of_contexts = sums.reshape(len(contexts), -1)
            of_words, of_others = np.split(of_contexts, [len(words)], axis=1)
            first = special.logsumexp(of_words, axis=1) - np.log(len(words))
            return first - special.logsumexp(of_others, axis=1) + np.log(len(other_words))

        return cls(name, tokenise(subject, requests, bos), preference, groups, parts, "nats")

    @cached_property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.value(np.zeros(self.requests.n_spans)))

    @cached_property
    def items(self) -> dict[str, list[Int[np.ndarray, " items"]]]:
        """The numbers of the items of each group of each part: {part: a list with an array for each group}.

        The first part is `all`. A measure with a single part has only this.

        Raises:
            UserError: There is not one group, or not one part, for each item.
        """
        labels = {"groups": self.groups, "parts": self.parts}
        of_item = {}
        for what, of_items in labels.items():
            of_item[what] = np.asarray([""] * self.n_items if of_items is None else of_items)
            if of_item[what].shape != (self.n_items,):
                raise UserError(
                    f"the measure {self.name} has {len(of_item[what])} {what} for {counted(self.n_items, 'item')}: "
                    f"give one for each item"
                )
        parts = {ALL: np.ones(self.n_items, dtype=bool)}
        names = list(dict.fromkeys(of_item["parts"].tolist()))
        if ALL in names:
            raise UserError(f"a part of the measure {self.name} is called {ALL!r}, as all items are: rename it")
        if len(names) > 1:
            parts |= {name: of_item["parts"] == name for name in names}
        groups = list(dict.fromkeys(of_item["groups"].tolist()))
        within = {part: [np.flatnonzero(inside & (of_item["groups"] == group)) for group in groups]
                  for part, inside in parts.items()}  # fmt: skip
        return {part: [items for items in of_part if len(items)] for part, of_part in within.items()}

    @cached_property
    def _weights(self) -> Float[np.ndarray, "parts items"]:
        """The weight of each item in the mean of each part."""
        weights = np.zeros((len(self.items), self.n_items))
        for row, groups in zip(weights, self.items.values(), strict=True):
            for items in groups:
                row[items] += 1 / (len(items) * len(groups))
        return weights

    def means(self, values: Float[np.ndarray, " items"]) -> Float[np.ndarray, " parts"]:
        """Return the mean of each part: that over items or, with groups, that over the means of groups."""
        return self._weights @ values

    def intervals(self, values: Float[np.ndarray, " items"]) -> Float[np.ndarray, "parts 2"]:
        """Return the 95 % interval of the mean of each part.

        It is over items: the groups are fixed, as the paradigms of BLiMP are. Changes of accuracies have the interval
        of `accuracy_difference` (`paired_interval` and `interval_of_mean`), others that of `mean_of_means_interval`,
        which is nan if a group has a single item.

        Args:
            values: The change of each item.
        """
        return np.array([self._interval([values[of_group] for of_group in groups]) for groups in self.items.values()])

    def _interval(self, groups: list[Float[np.ndarray, " _"]]) -> tuple[float, float]:
        if self.unit == "nats":
            return mean_of_means_interval(groups)
        means = np.array([of_group.mean() for of_group in groups])
        return interval_of_mean(means, [paired_interval(of_group) for of_group in groups])


def correct_pairs(sums: Float[np.ndarray, " spans"]) -> Float[np.ndarray, " items"]:
    """Return 1 for each pair whose first log-probability is larger, 0 if the second one is, and 0.5 if they are equal.

    Args:
        sums: Log-probabilities: good, bad, good, bad ...
    """
    return (np.sign(sums[::2] - sums[1::2]) + 1) / 2
