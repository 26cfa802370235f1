"""Pronounceable non-words: chains of letter clusters that follow each other in English words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import numpy as np

_CLUSTER = re.compile(r"[aeiouy]+|[^aeiouy]+")
_END = "$"


class NonwordMaker:
    """Makes words that could be English but are not.

    A word is cut into clusters of vowels and of consonants (*str-ea-m*); clusters are chained as they follow
    each other in real words, a Markov chain of order 2, as in Wuggy (Keuleers & Brysbaert 2010,
    doi:10.3758/BRM.42.3.627). Chains that are words are thrown away.

    Args:
        counts: English words (lower case letters) and how often they occur.
        is_word: Further test of what counts as a word, e.g. a dictionary.
    """

    def __init__(self, counts: Mapping[str, int], is_word: Callable[[str], bool] = lambda word: False) -> None:
        self._words = set(counts)
        self._is_word = is_word
        follows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for word in counts:
            if 3 <= len(word) <= 14:
                clusters = ["", "", *_CLUSTER.findall(word), _END]
                for first, second, third in zip(clusters, clusters[1:], clusters[2:], strict=False):
                    follows[first, second][third] += 1
        # Clusters met once are often names and foreign words.
        self._chain = {}
        for key, counter in follows.items():
            usual = {cluster: n for cluster, n in counter.items() if n > 1}
            if usual:
                weights = np.array(list(usual.values()), dtype=float)
                self._chain[key] = (list(usual), np.cumsum(weights / weights.sum()))

    def make(self, length: int, rng: np.random.Generator) -> str:
        """Return a non-word of so many letters, at least 3.

        Raises:
            ValueError: the words given allow no non-word of this length.
        """
        length = max(length, 3)
        for _ in range(20_000):
            word = self._draw(length, rng)
            if word and word not in self._words and not self._is_word(word):
                return word
        raise ValueError(f"no non-word of {length} letters can be made from {len(self._words)} words: give more words")

    def _draw(self, length: int, rng: np.random.Generator) -> str | None:
        first, second, word = "", "", ""
        while True:
            choice = self._chain.get((first, second))
            if choice is None:
                return None
            clusters, cumulative = choice
            cluster = clusters[min(np.searchsorted(cumulative, rng.random()), len(clusters) - 1)]
            if cluster == _END:
                return word if len(word) == length and re.search("[aeiouy]", word) else None
            word += cluster
            if len(word) > length:
                return None
            first, second = second, cluster
